/** The page of `useChat`, which knows nothing of Millrace, in a browser: reloaded in mid-answer, in two tabs, with a tool, with an error, with a server that is killed. */
import { launchChromium, makeFolder, startMillrace } from '@millrace/suites'
import type { UIMessage } from 'ai'
import type { Page } from 'playwright-core'
import { expect, it, vi } from 'vitest'
import { servePage } from './support/pages.ts'

// Each test builds the page, and starts a server and a browser.
vi.setConfig({ testTimeout: 60_000 })

async function open(env: Record<string, string>) {
  const url = await servePage('use-chat', env)
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
const countTo = (end: number) => Array.from({ length: end }, (_, index) => `${index + 1} `).join('')
const isOver = (page: Page) => page.locator('output').getByText('ready').waitFor()

it('shows an answer to its end in a page that is reloaded meanwhile, and in another tab', async () => {
  const { page, openTab } = await open({ MODEL: 'sim:count?n=40&tps=20' })
  await ask(page, 'count')
  await page.getByText('1 2 3 4 5').waitFor()
  const other = await openTab(page.url())
  await page.reload()
  await page.getByText('7 8 9').waitFor()
  const whole = `assistant: ${countTo(40)}`
  // A page is ready also before it has found the answer.
  for (const tab of [page, other]) await expect.poll(() => said(tab)).toEqual(['user: count', whole])
  await Promise.all([isOver(page), isOver(other)])
  // Nothing runs: opened again, it shows the same.
  await other.reload()
  await expect.poll(() => said(other)).toEqual(['user: count', whole])
  await isOver(other)
})

it('stops an answer for both tabs', async () => {
  const { page, openTab } = await open({ MODEL: 'sim:count?n=1000&tps=30' })
  await ask(page, 'count')
  await page.getByText('1 2 3').waitFor()
  const other = await openTab(page.url())
  await other.getByText('1 2 3').waitFor()
  // By the keyboard: the answer moves the button while it grows.
  await other.getByText('Stop').press('Enter')
  await Promise.all([isOver(page), isOver(other)])
  await expect.poll(async () => (await said(page)).join() === (await said(other)).join()).toBe(true)
  await page.getByText('Again').click()
  await page.locator('output').getByText('streaming').waitFor()
  await page.getByText('Stop').press('Enter')
  await isOver(page)
})

it('has a tool approved after a reload', async () => {
  const { page } = await open({ MODEL: 'sim:tool?approve=1&tps=0' })
  await ask(page, 'weather?')
  await page.getByText('Approve weather').waitFor()
  await page.reload()
  await page.getByText('Approve weather').click()
  await page.getByText(/assistant: .+/).waitFor()
  await isOver(page)
  expect(await page.locator('p').count()).toBe(2)
})

it('shows the error of a model', async () => {
  const { page } = await open({ MODEL: 'sim:fail?after=3&tps=0' })
  await ask(page, 'count')
  await page.locator('output').getByText('The simulation failed after 3 tokens, as asked.').waitFor()
  expect(await said(page)).toEqual(['user: count', 'assistant: 1 2 3 '])
})

it('shows what was said when its server was killed, and goes on with it', async () => {
  const server = await startMillrace(['--data', makeFolder(), '--model', 'sim:count?n=2000&tps=40'])
  const { page } = await open({ SERVER: server.url })
  await ask(page, 'count')
  await page.getByText('1 2 3 4 5').waitFor()
  await server.end()
  await page.locator('output').getByText('network error').waitFor()
  const [, seen = ''] = await said(page)
  // While it is away there is nothing to show but the same.
  await page.getByText('Reconnect').click()
  await page.locator('output').getByText('network error').waitFor({ state: 'hidden' })
  expect(await said(page)).toEqual(['user: count', seen])
  await server.restart()
  await page.getByText('Reconnect').click()
  await page.getByText('Continue').waitFor()
  const chat = new URL(page.url()).hash.slice(1)
  const { messages } = (await (await fetch(`${server.url}/ai/chat/${chat}`)).json()) as { messages: UIMessage[] }
  const [, answer] = messages
  const logged = answer?.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') ?? ''
  expect(`assistant: ${logged}`.startsWith(seen)).toBe(true)
  expect(await said(page)).toEqual(['user: count', `assistant: ${logged}Continue`])
  await page.getByText('Continue').click()
  await page.locator('p', { hasText: `${logged}${logged.trim().split(' ').length + 1} ` }).waitFor()
  await page.getByText('Stop').press('Enter')
  await isOver(page)
  const [, whole = ''] = await said(page)
  expect(whole).toBe(`assistant: ${countTo(whole.trim().split(' ').length - 1)}`)
})
