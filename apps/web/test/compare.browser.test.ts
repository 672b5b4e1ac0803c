/** Several models side by side: each in its own lane, each with its own fate. */
import { expect, test } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { prepareStage } from './support/stage.ts'

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
  // The page itself never scrolls sideways.
  expect(await phone.page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
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
