/** The page's first promise: whatever happens to it, an answer is read whole, and nothing twice. */
import { expect, test } from 'vitest'
import { drive, range, readNumbers } from './support/driver.ts'
import { gatedModel } from './support/gated-model.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()
const counting = 'sim:count?n=300&tps=100'

test('reloaded in mid-answer, it reads 1 to 300, none missing, none twice', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  for (const number of range(1, 100)) model.say(`${number} `)
  await page.ask('count')
  await page.textWith('100 ')
  await page.page.reload()
  // Painted from the snapshot and still being written: the reload was in mid-answer.
  await page.reaches('streaming')
  expect(readNumbers(await page.textWith('100 ')).length).toBeLessThan(300)
  for (const number of range(101, 300)) model.say(`${number} `)
  model.end()
  await page.reaches('completed')
  expect(readNumbers(await page.textWith('300'))).toEqual(range(1, 300))
  expect(await page.page.locator('article').count()).toBe(1)
})

test('with its connection cut in mid-answer, it goes on where it was', async () => {
  await using stage = await startStage()
  const page = await stage.open()
  await page.chooseModels(counting)
  await page.ask('count')
  await page.textWith('100 ')
  const before = stage.proxy.accepted
  stage.proxy.cut()
  await page.reaches('completed')
  // The answer may have ended before the cut.
  await expect.poll(() => stage.proxy.accepted).toBeGreaterThan(before)
  expect(readNumbers(await page.textWith('300'))).toEqual(range(1, 300))
  await page.isConnected('live')
})

test('while the server cannot be reached it says so, keeps the text, and sends a question when it is back', async () => {
  await using gated = await openGated(startStage)
  const { model, stage, page } = gated
  model.say('first half ')
  await page.ask('one')
  await page.textWith('first half')
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await page.isConnected('reconnecting')
  await page.connection.getByText(/^Retrying in \d+ s$/).waitFor()
  await page.page.context().setOffline(true)
  await page.isConnected('offline')
  await page.page.context().setOffline(false)
  expect(await page.answer().textContent()).toContain('first half')
  model.say('second half')
  model.end()
  stage.proxy.refuse(false)
  await page.textWith('first half second half')
  await page.reaches('completed')
  await page.isConnected('live')
})

test('a question asked without a connection waits, survives a reload, and is answered once', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const page = await stage.open()
  await page.ask('one')
  await page.reaches('completed')
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await page.ask('two')
  await page.page.locator('[data-pending="waiting"]').waitFor()
  stage.proxy.refuse(false)
  await page.page.reload()
  await page.page.locator('article[data-status="completed"]').nth(1).waitFor()
  expect(await page.page.locator('article h2').allTextContents()).toEqual([
    expect.stringContaining('one'),
    expect.stringContaining('two'),
  ])
  expect(await page.page.locator('[data-pending]').count()).toBe(0)
})

test('a 502, after which a browser never reconnects, does not end it', async () => {
  await using stage = await startStage()
  const page = await stage.open()
  await page.chooseTransport('sse')
  await page.chooseModels(counting)
  await page.ask('count')
  await page.textWith('50 ')
  let refusals = 0
  await page.page.route('**/api/stream*', (route) => {
    refusals++
    return route.fulfill({ status: 502, body: 'bad gateway' })
  })
  stage.proxy.cut()
  await expect.poll(() => refusals, { timeout: 15_000 }).toBeGreaterThan(0)
  await page.page.unroute('**/api/stream*')
  await page.reaches('completed')
  expect(readNumbers(await page.textWith('300'))).toEqual(range(1, 300))
})

test('a second tab and another device read the same answer live, and each can stop it', async () => {
  const model = gatedModel('test:gated')
  await using stage = await startStage({ models: { 'test:gated': model }, model: 'test:gated' })
  const first = await stage.open()
  model.say('1 2 ')
  await first.ask('count')
  await first.textWith('1 2')
  const address = first.page.url()
  const tab = drive(await first.page.context().newPage())
  await tab.page.goto(address)
  const device = await stage.open(address)
  await tab.textWith('1 2')
  await device.textWith('1 2')
  model.say('3 4 ')
  for (const one of [first, tab, device]) expect(readNumbers(await one.textWith('4'))).toEqual([1, 2, 3, 4])
  await device.stop.click()
  for (const one of [first, tab, device]) await one.reaches('stopped')

  // What is asked in one of them appears in all.
  model.say('5 6')
  model.end()
  await tab.ask('and on')
  for (const one of [first, tab, device]) expect(readNumbers(await one.textWith('5 6'))).toEqual([5, 6])
})

test('after a restart that lost the log, what was read stays, and the next question starts a new log', async () => {
  await using gated = await openGated(startStage)
  const { model, stage, page } = gated
  model.say('half of the first')
  await page.ask('one')
  await page.textWith('half')
  // Cut off first, so that no goodbye of the old server arrives: as when a process is killed.
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await stage.restart()
  stage.proxy.refuse(false)
  await page.isConnected('lost')
  await page.reaches('interrupted')
  expect(await page.textWith('half')).toBe('half of the first')
  model.say('the second')
  model.end()
  await page.ask('two')
  await page.reaches('completed')
  expect(await page.page.getByTestId('answer-text').allTextContents()).toEqual(['half of the first', 'the second'])
})

test('a conversation that does not exist is distinguished from one that cannot be reached', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const page = await stage.open('/?session=never-begun')
  await page.page.getByTestId('missing').waitFor()
  await page.ask('so a new one')
  await page.reaches('completed')
  expect(page.page.url()).not.toContain('never-begun')
})
