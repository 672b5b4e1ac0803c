/** Calls of tools: seen as they are made, and where they ask before, decided about on any device. */
import { connect } from '@millrace/client'
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()
const tool = (page: Driver, state: string) => page.page.locator(`[data-testid="tool"][data-state="${state}"]`)

test('a call shows its arguments as they arrive, then its result, and stays in its place', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  model.say('Before. ')
  model.say({ toolCallStart: { id: 'c', name: 'weather' } })
  model.say({ toolCallDelta: { id: 'c', arguments: '{"city":"Sha' } })
  await page.ask('how is it?')
  await tool(page, 'streaming').getByText('{"city":"Sha').waitFor()
  model.say({ toolCallDelta: { id: 'c', arguments: 'nghai"}' } })
  model.say({ toolCall: { id: 'c', name: 'weather', arguments: { city: 'Shanghai' }, by: 'model' } })
  await tool(page, 'called').waitFor()
  model.say({ toolResult: { call: 'c', value: { celsius: 28 } } })
  await tool(page, 'done').waitFor()
  model.say('After.')
  model.end()
  await page.reaches('completed')
  const check = async () => {
    expect((await page.page.getByTestId('answer-text').allTextContents()).map((text) => text.trim())).toEqual([
      'Before.',
      'After.',
    ])
    // Folded, since there is nothing to decide, and opened by a press.
    expect(await tool(page, 'done').getByText('celsius').isVisible()).toBe(false)
    await tool(page, 'done').locator('summary').click()
    await tool(page, 'done').getByText('"celsius": 28').waitFor()
  }
  await check()
  await page.page.reload()
  await tool(page, 'done').waitFor()
  await check()
})

test('what a tool returned, and data, are written once and not for each word after them', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  model.say({ toolCall: { id: 'c', name: 'weather', arguments: { city: 'Shanghai' }, by: 'model' } })
  model.say({ toolResult: { call: 'c', value: { celsius: 28 } } })
  model.say({ data: { name: 'forecast', value: { days: 7 } } })
  model.say('word')
  await page.ask('how is it?')
  await page.page.getByText('{"days":7}').waitFor()
  await page.textWith('word')
  await page.page.evaluate(() => {
    const { stringify } = JSON
    const written: string[] = []
    Object.assign(window, { written })
    JSON.stringify = (value: unknown, ...rest: unknown[]) => {
      const text = stringify(value, ...(rest as []))
      if (/celsius|city|days/.test(text)) written.push(text)
      return text
    }
  })
  for (let word = 1; word <= 5; word++) {
    model.say(` ${word}`)
    await page.textWith(`word${Array.from({ length: word }, (_, index) => ` ${index + 1}`).join('')}`)
  }
  expect(await page.page.evaluate(() => (window as unknown as { written: string[] }).written)).toEqual([])
})

test('a tool that fails says why, and the model goes on', async () => {
  await using stage = await startStage({ model: 'sim:tool?fails=1' })
  const page = await stage.open()
  await page.ask('try')
  await tool(page, 'failed').getByText('failed, as asked').waitFor()
  await page.reaches('completed')
})

test('the demo of the empty page asks before it acts; another device allows it after a reload', async () => {
  await using stage = await startStage()
  const page = await stage.open()
  await page.page.locator('[data-suggestion="tool"]').click()
  await page.page.getByTestId('approval').waitFor()
  await page.reaches('waiting')
  await page.page.getByTestId('announcer').filter({ hasText: 'waits for your decision' }).waitFor()
  await page.page.reload()
  await page.page.getByTestId('approval').waitFor()
  const device = await stage.open(page.page.url(), { locale: 'zh-CN' })
  await device.page.getByRole('button', { name: '允许' }).click()
  for (const one of [page, device]) {
    await tool(one, 'done').waitFor()
    await one.reaches('completed')
    expect(await one.page.getByTestId('approval').count()).toBe(0)
    expect(await one.page.locator('article').count()).toBe(1)
  }
})

test('a call whose answer is stopped elsewhere is withdrawn', async () => {
  await using stage = await startStage({ model: 'sim:tool?name=mail&approve=1' })
  const page = await stage.open()
  await page.ask('write')
  await page.page.getByTestId('approval').waitFor()
  await page.reaches('waiting')
  const client = connect(stage.url)
  const [listed] = (await client.sessions.list()).sessions
  const session = client.session(listed?.id)
  const [run] = (await session.read()).runs
  await session.stop(run?.run ?? '')
  client.close()
  await tool(page, 'rejected').getByText('Withdrawn').waitFor()
  await page.reaches('stopped')
  expect(await page.page.getByTestId('approval').count()).toBe(0)
})

test('a call is rejected, or carried out with other arguments', async () => {
  await using stage = await startStage({ model: 'sim:tool?name=mail&approve=1' })
  const page = await stage.open()
  await page.ask('write')
  await page.page.getByTestId('reject').click()
  await tool(page, 'rejected').waitFor()
  await page.reaches('completed')
  await page.ask('write again')
  await page.page.getByTestId('edit-call').click()
  const draft = page.page.getByTestId('approval').getByRole('textbox')
  expect(JSON.parse(await draft.inputValue())).toMatchObject({ to: expect.any(String) })
  await draft.fill('{"to":')
  await page.page.getByTestId('approve-edited').click()
  await page.page.getByText('This is not valid JSON.').waitFor()
  // Not what the tool takes: the server says so, and it can be corrected.
  await draft.fill('{"to": 7}')
  await page.page.getByTestId('approve-edited').click()
  await page.page.getByTestId('approval').getByRole('alert').filter({ hasNotText: 'valid JSON' }).waitFor()
  await draft.fill('{"to":"me@example.com","subject":"s"}')
  await page.page.getByTestId('approve-edited').click()
  await tool(page, 'done').waitFor()
  await page.reaches('completed')
  await tool(page, 'done').locator('summary').click()
  expect(await tool(page, 'done').textContent()).toContain('me@example.com')
})
