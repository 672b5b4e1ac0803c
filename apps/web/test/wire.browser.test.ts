/** The events of an answer: each that came, with its position, time, size and transport. */
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { gatedModel } from './support/gated-model.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

async function cells(page: Driver): Promise<string[][]> {
  return page.page
    .getByTestId('wire-event')
    .evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent)))
}
/** The types of the events, when there are so many. */
async function types(page: Driver, count: number): Promise<(string | undefined)[]> {
  await page.page
    .getByTestId('wire-event')
    .nth(count - 1)
    .waitFor()
  return (await cells(page)).map(([, , , type]) => type)
}

test('shows each event with its position, time, size and transport, also of what is still to come', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  await page.chooseTransport('sse')
  // What a first question begins may be read with the conversation, and not as events.
  model.say('hello')
  model.end()
  await page.ask('first')
  await page.reaches('completed')
  await expect.poll(() => gated.stage.transports).toEqual(['sse'])
  model.say('one ')
  await page.ask('count')
  await page.textWith('one')
  await page.answer().getByTestId('inspect').click()
  expect(await types(page, 2)).toEqual(['stream_start', 'message'])
  await page.page.keyboard.press('Escape')
  await page.page.getByTestId('wire').waitFor({ state: 'detached' })
  await page.chooseTransport('ws')
  // Both streams are read until the new one has caught up: an event meanwhile would be shown twice.
  await expect.poll(() => gated.stage.transports).toEqual(['ws'])
  model.say('two')
  await page.textWith('two')
  await page.answer().getByTestId('inspect').click()
  model.end()
  expect(await types(page, 4)).toEqual(['stream_start', 'message', 'message', 'stream_end'])
  const rows = await cells(page)
  expect(rows.map(([, , , , , transport]) => transport)).toEqual(['SSE', 'SSE', 'WebSocket', 'WebSocket'])
  for (const [time, after, , , size] of rows) {
    expect(time).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/)
    expect(after).toMatch(/^\+[\d.,]+ m?s$/)
    expect(size).toMatch(/^\d+ B$/)
  }
  const session = new URL(page.page.url()).searchParams.get('session')
  const { position } = (await (await fetch(`${gated.stage.url}/api/sessions/${session}`)).json()) as { position: string }
  expect(rows.at(-1)?.[2]).toBe(position)
  expect(rows[1]?.[6]).toContain('"text":"one "')
  await page.page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.page.getByTestId('wire').getByRole('button', { name: 'Copy the events' }).click()
  const copied = () => page.page.evaluate(() => navigator.clipboard.readText())
  await expect.poll(copied).toContain('stream_end')
  const lines = (await copied()).split('\n').map((line) => JSON.parse(line) as { id: string; data: { text?: string } })
  expect(lines.map(({ id }) => id)).toEqual(rows.map(([, , id]) => id))
  expect(lines[2]?.data.text).toBe('two')
  // Focus goes back to where it was.
  await page.page.getByTestId('wire').getByRole('button', { name: 'Close' }).click()
  expect(
    await page
      .answer()
      .getByTestId('inspect')
      .evaluate((button) => button === document.activeElement),
  ).toBe(true)
})

test('has only the events of its lane, and after a reload all of them when they are read again', async () => {
  const [a, b] = [gatedModel('test:a'), gatedModel('test:b')]
  await using stage = await startStage({ models: { 'test:a': a, 'test:b': b }, model: 'test:a' })
  const page = await stage.open()
  await page.chooseModels('test:a', 'test:b')
  for (const text of ['first', 'text']) {
    for (const model of [a, b]) {
      model.say(text)
      model.end()
    }
    await page.ask('both of you')
    for (const lane of ['test:a', 'test:b']) {
      await page.textWith(text, lane)
      await page.reaches('completed', lane)
    }
    await page.isConnected('live')
  }
  await page.answer('test:b').getByTestId('inspect').click()
  const ofLane = ['stream_start', 'message', 'lane_end', 'stream_end']
  expect(await types(page, 4)).toEqual(ofLane)
  const before = (await cells(page)).map(([, , id]) => id)
  await page.page.reload()
  await page.reaches('completed', 'test:b')
  await page.answer('test:b').getByTestId('inspect').click()
  await page.page.getByTestId('wire').getByText('0 events').waitFor()
  await page.page.getByTestId('wire-read').click()
  expect(await types(page, 4)).toEqual(ofLane)
  expect((await cells(page)).map(([, , id]) => id)).toEqual(before)
  // Reading again has changed nothing of what is shown behind it.
  await page.page.keyboard.press('Escape')
  expect(await page.textWith('text', 'test:b')).toBe('text')
})
