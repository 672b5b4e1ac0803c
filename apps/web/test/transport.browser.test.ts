/** One conversation over any transport, exchanged in mid-answer; and all tabs of a browser over one connection. */
import { expect, test } from 'vitest'
import { drive, range, readNumbers } from './support/driver.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

test('the menu changes the transport in mid-answer, again and again: none of it missing, none twice', async () => {
  await using stage = await startStage()
  const page = await stage.open()
  await page.chooseModels('sim:count?n=100000&tps=75')
  await page.chooseTransport('sse')
  await page.ask('count')
  await page.textWith('20 ')
  const carried: (readonly string[])[] = []
  for (const [transport, isCarried] of [
    ['sse', ['sse']],
    ['ws', ['ws']],
    ['hybrid', ['sse', 'ws up']],
    // Between two of its requests there is no connection.
    ['poll', []],
    ['sse', ['sse']],
    ['auto', ['ws']],
  ] as const) {
    const polled = transport === 'poll' ? page.page.waitForRequest(/live=poll/) : undefined
    await page.chooseTransport(transport)
    await polled
    await expect.poll(() => stage.transports.filter((name) => name !== 'poll').sort()).toEqual(isCarried)
    carried.push(isCarried)
    await page.isConnected('live')
    // Some of the answer comes over each.
    const numbers = readNumbers(await page.textWith(' '))
    await page.textWith(`${(numbers.at(-1) ?? 0) + 20} `)
  }
  expect(carried).toHaveLength(6)
  await page.stop.click()
  await page.reaches('stopped')
  const numbers = readNumbers(await page.textWith(' '))
  expect(numbers).toEqual(range(1, numbers.length))
})

test('the choice is kept, named, and made with the keyboard alone', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const page = await stage.open()
  const button = page.page.getByTestId('transport')
  await button.focus()
  await page.page.keyboard.press('Enter')
  await page.page.keyboard.press('ArrowDown')
  await page.page.keyboard.press('ArrowDown')
  await page.page.keyboard.press('ArrowDown')
  await page.page.keyboard.press('Enter')
  expect(await button.getAttribute('data-transport')).toBe('hybrid')
  expect(await button.evaluate((element) => element === document.activeElement)).toBe(true)
  await page.page.keyboard.press('Enter')
  await page.page.keyboard.press('Escape')
  expect(await page.page.getByTestId('transport-menu').count()).toBe(0)
  await page.page.reload()
  expect(await button.getAttribute('aria-label')).toContain('Hybrid')
  await page.ask('count')
  await page.reaches('completed')
  expect(readNumbers(await page.textWith('3'))).toEqual([1, 2, 3])
})

test('ten tabs read one answer over one connection, and go on when the tab that held it is closed', async () => {
  await using stage = await startStage()
  const first = await stage.open()
  await first.chooseModels('sim:count?n=300&tps=30')
  await first.ask('count')
  await first.textWith('10 ')
  const address = first.page.url()
  const tabs = [first]
  for (let n = 2; n <= 10; n++) {
    const tab = drive(await first.page.context().newPage())
    await tab.page.goto(address)
    tabs.push(tab)
  }
  await Promise.all(tabs.map((tab) => tab.textWith('100 ')))
  await expect.poll(() => stage.transports).toEqual(['ws'])
  await first.page.close()
  const others = tabs.slice(1)
  await Promise.all(others.map((tab) => tab.reaches('completed')))
  for (const tab of others) expect(readNumbers(await tab.textWith('300'))).toEqual(range(1, 300))
  await expect.poll(() => stage.transports).toEqual(['ws'])
})

test('ten tabs with conversations of their own answer at once, over one connection', async () => {
  await using stage = await startStage({ model: 'sim:count?n=40&tps=100' })
  const first = await stage.open()
  const tabs = [first]
  for (let n = 2; n <= 10; n++) {
    const tab = drive(await first.page.context().newPage())
    await tab.page.goto(stage.url)
    tabs.push(tab)
  }
  await Promise.all(tabs.map((tab) => tab.ask('count')))
  for (const tab of tabs) expect(readNumbers(await tab.textWith('40'))).toEqual(range(1, 40))
  await expect.poll(() => stage.transports).toEqual(['ws'])
})

test('another tab takes over from one that sleeps, and nothing is missing', async () => {
  await using stage = await startStage()
  const first = await stage.open()
  await first.chooseModels('sim:count?n=300&tps=30')
  await first.ask('count')
  await first.textWith('10 ')
  const second = drive(await first.page.context().newPage())
  await second.page.goto(first.page.url())
  await second.textWith('40 ')
  const session = await first.page.context().newCDPSession(first.page)
  await session.send('Page.setWebLifecycleState', { state: 'frozen' })
  await second.reaches('completed')
  expect(readNumbers(await second.textWith('300'))).toEqual(range(1, 300))
  await session.send('Page.setWebLifecycleState', { state: 'active' })
  await first.reaches('completed')
  expect(readNumbers(await first.textWith('300'))).toEqual(range(1, 300))
})
