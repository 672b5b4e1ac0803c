/** The page of `useChat`, which knows nothing of Millrace, in a browser: reloaded in mid-answer, in two tabs, with a tool, with an error. */
import { launchChromium } from '@millrace/suites'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { servePage } from './support/pages.ts'

async function open(model: string) {
  const url = await servePage('use-chat', { MODEL: model })
  const browser = await launchChromium()
  const context = await browser.newContext()
  const openTab = async (address = url) => {
    const page = await context.newPage()
    await page.goto(address)
    await page.getByRole('textbox').waitFor()
    return page
  }
  return { openTab, page: await openTab() }
}

async function ask(page: Page, text: string) {
  await page.getByRole('textbox').fill(text)
  await page.getByRole('textbox').press('Enter')
}

const said = (page: Page) => page.locator('p').allTextContents()
const isOver = (page: Page) => page.locator('output').getByText('ready').waitFor()

it('shows an answer to its end in a page that is reloaded meanwhile, and in another tab', async () => {
  const { page, openTab } = await open('sim:count?n=40&tps=20')
  await ask(page, 'count')
  await page.getByText('1 2 3 4 5').waitFor()
  const other = await openTab(page.url())
  await page.reload()
  await page.getByText('7 8 9').waitFor()
  await Promise.all([isOver(page), isOver(other)])
  const whole = `assistant: ${Array.from({ length: 40 }, (_, index) => `${index + 1} `).join('')}`
  expect([await said(page), await said(other)]).toEqual(Array(2).fill(['user: count', whole]))
  // Nothing runs: opened again, it shows the same.
  await other.reload()
  await isOver(other)
  expect(await said(other)).toEqual(['user: count', whole])
})

it('stops an answer for both tabs', async () => {
  const { page, openTab } = await open('sim:count?n=1000&tps=30')
  await ask(page, 'count')
  await page.getByText('1 2 3').waitFor()
  const other = await openTab(page.url())
  await other.getByText('1 2 3').waitFor()
  // By the keyboard: the answer moves the button while it grows.
  await other.getByText('Stop').press('Enter')
  await Promise.all([isOver(page), isOver(other)])
  expect(await said(page)).toEqual(await said(other))
  await page.getByText('Again').click()
  await page.locator('output').getByText('streaming').waitFor()
  await page.getByText('Stop').press('Enter')
  await isOver(page)
})

it('has a tool approved after a reload', async () => {
  const { page } = await open('sim:tool?approve=1&tps=0')
  await ask(page, 'weather?')
  await page.getByText('Approve weather').waitFor()
  await page.reload()
  await page.getByText('Approve weather').click()
  await page.getByText(/assistant: .+/).waitFor()
  await isOver(page)
  expect(await page.locator('p').count()).toBe(2)
})

it('shows the error of a model', async () => {
  const { page } = await open('sim:fail?after=3&tps=0')
  await ask(page, 'count')
  await page.locator('output').getByText('The simulation failed after 3 tokens, as asked.').waitFor()
  expect(await said(page)).toEqual(['user: count', 'assistant: 1 2 3 '])
})
