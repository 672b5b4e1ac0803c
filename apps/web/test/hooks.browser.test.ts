/** `@millrace/client/react` in a real page under StrictMode: whatever happens to the network, all of it and nothing twice. */
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import type { Commit } from './hooks/main.tsx'
import type { Order } from './hooks/worker.ts'
import { range, readNumbers } from './support/driver.ts'
import { gatedModel } from './support/gated-model.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage({ source: fileURLToPath(new URL('./hooks', import.meta.url)), mode: 'development' })

async function ask(page: Page, query: string): Promise<void> {
  await page.locator('input').fill(query)
  await page.locator('input').press('Enter')
  // React empties the form when its action has been shown: what was filled in before that would be gone.
  await page.waitForFunction(() => document.querySelector('input')?.value === '')
}

test('renders a long answer through a cut: 1 to 500, at most once per frame', async () => {
  await using stage = await startStage({ model: 'sim:count?n=500&tps=250' })
  const { page } = await stage.open()
  await page.locator('main[data-status="live"]').waitFor()
  await ask(page, 'count')
  const answer = page.locator('article output')
  await answer.filter({ hasText: '100 ' }).waitFor()
  await page.locator('li').last().waitFor()
  // One for the conversation, though mounted twice and used by two components, and one for the channel.
  expect(stage.streams).toBe(2)
  const before = stage.proxy.accepted
  stage.proxy.cut()
  await page.locator('article[data-status="completed"]').waitFor()
  // The answer may have ended before the cut.
  await expect.poll(() => stage.proxy.accepted).toBeGreaterThan(before)
  expect(readNumbers((await answer.textContent()) ?? '')).toEqual(range(1, 500))
  expect(await page.locator('main p').count()).toBe(0)
  await page.locator('li:nth-child(3)').filter({ hasText: 'stream_end' }).waitFor()
  expect(await page.locator('li').allTextContents()).toEqual(['message', 'message', 'stream_end'])

  const commits = await page.evaluate(() => (globalThis as unknown as { commits: Commit[] }).commits)
  const ofFrames = commits.filter(({ edges }, index) => commits[index - 1]?.edges === edges)
  const twice = ofFrames.filter(({ frame }, index) => ofFrames[index - 1]?.frame === frame)
  expect(twice).toEqual([])
  // Not all at once; how many frames there are is up to the machine.
  expect(ofFrames.length).toBeGreaterThan(1)
})

test('taken down in mid-answer it reads nothing, and put up again it goes on; then it is stopped', async () => {
  const model = gatedModel('test:gated')
  await using stage = await startStage({ models: { 'test:gated': model }, model: 'test:gated' })
  const { page } = await stage.open()
  model.say('1 2 ')
  await ask(page, 'count')
  const answer = page.locator('article output')
  await answer.filter({ hasText: '2' }).waitFor()
  await page.getByText('toggle').click()
  await expect.poll(() => stage.streams).toBe(0)
  model.say('3 4 ')
  await page.getByText('toggle').click()
  await answer.filter({ hasText: '4' }).waitFor()
  await expect.poll(() => stage.streams).toBe(2)
  expect(readNumbers((await answer.textContent()) ?? '')).toEqual(range(1, 4))
  await page.getByText('stop').click()
  await page.locator('article[data-status="stopped"]').waitFor()
  expect(await page.locator('h2').allTextContents()).toEqual(['count'])
})

test('goes on with an answer as one, again and again, however often it is pressed', async () => {
  const model = gatedModel('test:gated')
  await using stage = await startStage({ models: { 'test:gated': model }, model: 'test:gated' })
  const { page } = await stage.open()
  await ask(page, 'count')
  const answer = page.locator('article output')
  for (const said of ['1 2 ', '3 4 ']) {
    model.say(said)
    await answer.filter({ hasText: said }).waitFor()
    // The button of the answer is for the run that speaks, whichever it is.
    await page.getByText('stop', { exact: true }).click()
    await page.locator('article[data-status="stopped"]').waitFor()
    await page.getByText('continue').dblclick()
    await page.locator('article[data-status="streaming"]').waitFor()
  }
  model.say('5 6')
  model.end()
  await page.locator('article[data-status="completed"]').waitFor()
  expect(readNumbers((await answer.textContent()) ?? '')).toEqual(range(1, 6))
  expect(await page.locator('h2').allTextContents()).toEqual(['count'])

  // A later reader gets the runs one by one, and shows the same.
  const session = await page.locator('main').getAttribute('data-session')
  const later = await stage.open(`/?session=${session}`)
  const again = later.page.locator('article[data-status="completed"] output')
  expect(readNumbers((await again.textContent()) ?? '')).toEqual(range(1, 6))
  expect(await later.page.locator('h2').allTextContents()).toEqual(['count'])
})

test('what is asked offline waits, and is sent once and in order when the browser is online', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const { page } = await stage.open()
  await page.locator('main[data-status="live"][data-connection="live"]').waitFor()
  // Streams that are open go on while Chromium is offline, so the network is taken away as well.
  stage.proxy.refuse(true)
  await page.context().setOffline(true)
  stage.proxy.cut()
  await page.locator('main[data-connection="offline"]').waitFor()
  for (const query of ['first', 'second', 'third']) await ask(page, query)
  await page.locator('main p').nth(2).waitFor()
  expect(await page.locator('main p').allTextContents()).toEqual(['first', 'second', 'third'])
  expect(await page.locator('article').count()).toBe(0)
  stage.proxy.refuse(false)
  await page.context().setOffline(false)
  await page.locator('main[data-connection="live"] article[data-status="completed"]').nth(2).waitFor()
  expect(await page.locator('h2').allTextContents()).toEqual(['first', 'second', 'third'])
  expect(await page.locator('main p').count()).toBe(0)
  const session = await page.locator('main').getAttribute('data-session')
  const { runs } = (await (await fetch(`${stage.url}/api/sessions/${session}`)).json()) as { runs: { query: string }[] }
  expect(runs.map(({ query }) => query)).toEqual(['first', 'second', 'third'])
})

test.each(['sse', 'ws'] as const)('a worker of the page reads and asks by itself, over %s', async (transport) => {
  await using stage = await startStage({ model: 'sim:count?n=20&tps=0' })
  const { page } = await stage.open()
  const text = await page.evaluate(
    (order) => (globalThis as unknown as { readInWorker(order: Order): Promise<string> }).readInWorker(order),
    { url: stage.url, transport },
  )
  expect(readNumbers(text)).toEqual(range(1, 20))
})
