/** Several models side by side: each in its own lane, each with its own fate. */
import type { Transcript } from '@millrace/client'
import { expect, test } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { prepareStage } from './support/stage.ts'
import { swipe } from './support/swipe.ts'

const startStage = prepareStage()

test('two lanes are not swapped, and one that fails does not hurt the other', async () => {
  const a = gatedModel('test:a')
  const b = gatedModel('test:b')
  await using stage = await startStage({ models: { 'test:a': a, 'test:b': b }, model: 'test:a', onError: () => {} })
  const page = await stage.open()
  await page.chooseModels('test:a', 'test:b')
  for (let word = 1; word <= 5; word++) {
    a.say(`A${word} `)
    b.say(`B${word} `)
  }
  await page.ask('both of you')
  expect(await page.textWith('A5', 'test:a')).toBe('A1 A2 A3 A4 A5')
  expect(await page.textWith('B5', 'test:b')).toBe('B1 B2 B3 B4 B5')
  b.fail(new Error('broke'))
  await page.reaches('failed', 'test:b')
  a.say('A6')
  a.end()
  await page.reaches('completed', 'test:a')
  const check = async () => {
    expect(await page.textWith('A6', 'test:a')).toBe('A1 A2 A3 A4 A5 A6')
    expect(await page.textWith('B5', 'test:b')).toBe('B1 B2 B3 B4 B5')
    expect(await page.answer('test:b').getByTestId('error').count()).toBe(1)
    expect(await page.answer('test:a').getByTestId('error').count()).toBe(0)
  }
  await check()
  await page.page.reload()
  await check()
})

test('one lane is stopped and the other goes on', async () => {
  const a = gatedModel('test:a')
  const b = gatedModel('test:b')
  await using stage = await startStage({ models: { 'test:a': a, 'test:b': b }, model: 'test:a' })
  const page = await stage.open()
  await page.chooseModels('test:a', 'test:b')
  a.say('of a')
  b.say('of b ')
  await page.ask('both of you')
  await page.textWith('of a', 'test:a')
  await page.answer('test:a').getByTestId('stop-run').click()
  await page.reaches('stopped', 'test:a')
  b.say('goes on')
  b.end()
  await page.reaches('completed', 'test:b')
  expect(await page.textWith('goes on', 'test:b')).toBe('of b goes on')
  expect(await page.textWith('of a', 'test:a')).toBe('of a')
})

test('one of several is asked again, by its own model or the one that is chosen, beside the others’ answers', async () => {
  const [a, b] = [gatedModel('test:a'), gatedModel('test:b')]
  await using stage = await startStage({ models: { 'test:a': a, 'test:b': b }, model: 'test:a', onError: () => {} })
  const page = await stage.open()
  await page.chooseModels('test:a', 'test:b')
  a.say('of a')
  a.end()
  b.fail(new Error('broken'))
  await page.ask('both of you')
  await page.reaches('completed', 'test:a')
  b.say('whole')
  b.end()
  await page.answer('test:b').getByTestId('retry').click()
  expect(await page.textWith('whole', 'test:b')).toBe('whole')
  const versions = page.page.getByTestId('versions')
  expect([await versions.textContent(), await page.page.getByTestId('answer').count()]).toEqual(['2 / 2', 1])
  await page.page.getByTestId('version-before').click()
  expect(await page.textWith('of a', 'test:a')).toBe('of a')
  await page.page.getByTestId('model-chip-remove').last().click()
  await page.chooseModels('sim:count?n=3&tps=0')
  await page.answer('test:b').getByTestId('regenerate-with').click()
  expect(await page.textWith('3', 'sim:count?n=3&tps=0')).toBe('1 2 3')
  expect(await versions.textContent()).toBe('3 / 3')
})

test('lanes stand beside each other on a desk and are swiped on a phone', async () => {
  await using stage = await startStage()
  const desk = await stage.open()
  await desk.chooseModels('sim:count?n=5', 'sim:count?n=7')
  await desk.ask('count')
  await desk.reaches('completed', 'sim:count?n=7')
  const boxes = await Promise.all(['sim:count?n=5', 'sim:count?n=7'].map((lane) => desk.answer(lane).boundingBox()))
  expect(boxes[0]?.y).toBe(boxes[1]?.y)
  expect(boxes[0]?.x).toBeLessThan(boxes[1]?.x ?? 0)

  const phone = await stage.open(desk.page.url(), {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  })
  await phone.reaches('completed', 'sim:count?n=7')
  await phone.page.locator('[data-testid=lane-tab][data-lane="sim:count?n=7"]').tap()
  await phone.page.locator('[data-testid=lane-tab][aria-pressed="true"][data-lane="sim:count?n=7"]').waitFor()
  expect(await phone.answer('sim:count?n=7').boundingBox()).toMatchObject({ x: 16 })
  const y = ((await phone.answer('sim:count?n=7').boundingBox())?.y ?? 0) + 20
  await swipe(phone.page, { x: 60, y }, { x: 360, y })
  await phone.page.locator('[data-testid=lane-tab][aria-pressed="true"][data-lane="sim:count?n=5"]').waitFor()
  // The page itself never scrolls sideways.
  expect(await phone.page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
})

test('one answer is shown alone, another in its place, and all again; what was folded stays folded', async () => {
  const [a, b] = [gatedModel('test:a'), gatedModel('test:b')]
  await using stage = await startStage({ models: { 'test:a': a, 'test:b': b }, model: 'test:a' })
  const page = await stage.open()
  await page.chooseModels('test:a', 'test:b')
  a.say('of a')
  b.say({ reasoning: 'Thoughts of b.' })
  await page.ask('both of you')
  await page.textWith('of a', 'test:a')
  const width = async (lane: string) => (await page.answer(lane).boundingBox())?.width
  const [half] = await Promise.all([width('test:a'), page.answer('test:b').getByText('Thoughts of b.').waitFor()])
  // What the reader has opened or closed stays so.
  await page.answer('test:b').locator('summary').click()
  await page.answer('test:a').getByTestId('focus').click()
  expect(await page.answer('test:b').isVisible()).toBe(false)
  expect(await width('test:a')).toBe(720)
  const tab = (lane: string) => page.page.locator(`[data-testid=lane-tab][data-lane="${lane}"]`)
  await tab('test:b').click()
  expect(await tab('test:b').getAttribute('aria-pressed')).toBe('true')
  expect([await page.answer('test:a').isVisible(), await page.answer('test:b').isVisible()]).toEqual([false, true])
  b.say('of b')
  await page.textWith('of b', 'test:b')
  await page.answer('test:b').getByTestId('focus').click()
  expect([await page.answer('test:a').isVisible(), await page.answer('test:b').isVisible()]).toEqual([true, true])
  expect(await width('test:a')).toBe(half)
  expect(await page.page.getByTestId('lane-tab').first().isVisible()).toBe(false)
  expect(await page.answer('test:b').getByText('Thoughts of b.').isVisible()).toBe(false)
})

test('each answer has its first word, its rate, its tokens, and its cost where the server tells it', async () => {
  const usage = { prices: { 'sim:count*': { input: 0, output: 2 } }, currency: 'USD' }
  await using stage = await startStage({ usage })
  const page = await stage.open()
  const [priced, free] = ['sim:count?n=100&tps=200', 'sim:lorem?n=60&tps=100']
  await page.chooseModels(priced, free)
  await page.ask('count')
  for (const lane of [priced, free]) await page.reaches('completed', lane)
  const session = new URL(page.page.url()).searchParams.get('session')
  const { runs } = (await (await fetch(`${stage.url}/api/sessions/${session}`)).json()) as Transcript
  for (const lane of runs[0]?.lanes ?? []) {
    const { usage: used, timings } = lane
    if (used === undefined || timings === undefined) throw new Error('An end has both.')
    const rate = Math.round((used.outputTokens * 1000) / (timings.durationMs - (timings.firstTokenMs ?? 0)))
    const facts = await page.answer(lane.lane).getByTitle('Measured by the server').allTextContents()
    expect(facts[0]).toMatch(/^first word \d+ ms$/)
    expect(facts[1]).toBe(`${rate} tok/s`)
    expect(facts[2]).toContain(`${used.outputTokens} tokens`)
    expect(facts.filter((fact) => fact.includes('$'))).toEqual(
      lane.lane === priced ? [expect.stringMatching(/^(≈ )?\$0\.00020$/)] : [],
    )
  }
})

test('up to four models, and the choice is remembered', async () => {
  await using stage = await startStage()
  const page = await stage.open()
  await page.chooseModels('sim:count?n=1', 'sim:count?n=2', 'sim:count?n=3', 'sim:count?n=4')
  expect(await page.page.getByTestId('compare').count()).toBe(0)
  await page.page.reload()
  await page.ask('go')
  for (const count of [1, 2, 3, 4]) await page.reaches('completed', `sim:count?n=${count}`)
})

test('what is not a language model is labelled as such', async () => {
  await using stage = await startStage()
  const page = await stage.open()
  await page.chooseModels('sim:count?n=5')
  await page.ask('count')
  await page.reaches('completed')
  expect(await page.answer().textContent()).toContain('not a language model')
})
