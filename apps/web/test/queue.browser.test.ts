/** Questions that wait are asked in another order: by the pointer and by keys, on any device. */
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

/** As long as the page waits for a state. */
const patience = { timeout: 15_000 }
const waiting = ({ page }: Driver) => page.locator('[data-pending="queued"]')
const textsOf = async (driver: Driver) =>
  (await waiting(driver).locator('h2').allTextContents()).map((text) => text.split(' ').at(-1))
const shows = (driver: Driver, order: readonly string[]) => expect.poll(() => textsOf(driver), patience).toEqual(order)

async function openBusy() {
  const gated = await openGated(startStage)
  const { model, page, stage } = gated
  model.say('first')
  await page.ask('one')
  await page.textWith('first')
  for (const [index, query] of ['two', 'three', 'four'].entries()) {
    await page.ask(query)
    await waiting(page).nth(index).waitFor()
  }
  const device = await stage.open(page.page.url())
  await shows(device, ['two', 'three', 'four'])
  return { ...gated, device }
}

test('by dragging, and the other device sees it', async () => {
  const { model, page, device, stage } = await openBusy()
  await using _ = stage
  const { mouse } = page.page
  const middle = async (query: string) => {
    const box = await waiting(page).filter({ hasText: query }).boundingBox()
    return { top: box?.y ?? 0, height: box?.height ?? 0 }
  }
  await waiting(page).filter({ hasText: 'four' }).getByTestId('drag').hover()
  await mouse.down()
  const { top } = await middle('two')
  await mouse.move(400, top + 4)
  // Shown before it is released, and nowhere else.
  await shows(page, ['four', 'two', 'three'])
  expect(await textsOf(device)).toEqual(['two', 'three', 'four'])
  await mouse.up()
  await shows(device, ['four', 'two', 'three'])
  // Escape gives it up.
  await waiting(device).filter({ hasText: 'four' }).getByTestId('drag').hover()
  await device.page.mouse.down()
  const box = await waiting(device).filter({ hasText: 'three' }).boundingBox()
  await device.page.mouse.move(400, (box?.y ?? 0) + (box?.height ?? 0))
  await shows(device, ['two', 'three', 'four'])
  await device.page.keyboard.press('Escape')
  await device.page.mouse.up()
  await shows(device, ['four', 'two', 'three'])
  for (const query of ['four', 'two', 'three']) {
    model.end()
    await device.page.locator('article[data-status="streaming"]').filter({ hasText: query }).waitFor()
  }
  model.end()
  await page.reaches('completed')
})

test('by keys, whose focus stays, and on two devices at once', async () => {
  const { page, device, stage } = await openBusy()
  await using _ = stage
  const later = waiting(page).filter({ hasText: 'two' }).getByTestId('ask-later')
  await later.focus()
  await page.page.keyboard.press('Enter')
  await shows(device, ['three', 'two', 'four'])
  await shows(page, ['three', 'two', 'four'])
  await page.page.keyboard.press('Enter')
  await shows(device, ['three', 'four', 'two'])
  // At the end of the way it stays, and is still there for the key.
  await page.page.keyboard.press('Enter')
  expect(await later.evaluate((button) => button === document.activeElement)).toBe(true)
  await waiting(page).filter({ hasText: 'two' }).getByText('Number 3 of 3').waitFor()
  await Promise.all([
    waiting(page).filter({ hasText: 'two' }).getByTestId('ask-earlier').click(),
    waiting(device).filter({ hasText: 'three' }).getByTestId('ask-later').click(),
  ])
  // Whichever was first, and whether or not the other device had seen it.
  const outcomes = ['three two four', 'two four three', 'two three four', 'four two three']
  const shown = async () => {
    const [here, there] = await Promise.all([page, device].map(async (one) => (await textsOf(one)).join(' ')))
    return here === there && outcomes.includes(here as string)
  }
  await expect.poll(shown, patience).toBe(true)
  await page.page.reload()
  const order = await textsOf(device)
  await shows(page, order as string[])
})
