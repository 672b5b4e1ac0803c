/**
 * What long answers and long conversations cost the page: nothing moves, nothing that is finished is touched, and the CPU time by
 * frame, which is printed: `npx vitest run --project alone apps/web/test/frames.test.ts`. `THROTTLE=4` slows the page down four
 * times, which says something only on a machine that has nothing else to do.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Model } from 'millrace'
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { type FrameCost, measureFrames } from './support/frames.ts'
import { watchShifts } from './support/shifts.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()
/** Milliseconds of a frame. Far above what it takes: only to see what is out of all proportion. */
const scriptMsMax = 16

/** About a thousand characters of everything that an answer is made of. */
function section(index: number): string {
  const words = Array.from({ length: 12 }, (_, word) => `word ${index}.${word} of **a sentence** with \`code\``)
  return [
    `## Section ${index}`,
    `${words.slice(0, 8).join(', ')}. [A link](https://a.example/${index}) ends it.`,
    words
      .slice(8)
      .map((word) => `- ${word}`)
      .join('\n'),
    `\`\`\`ts\n${Array.from({ length: 6 }, (_, line) => `export const value${line}: number = ${index} + ${line} // ${line}`).join('\n')}\n\`\`\``,
    `| a | b |\n|---|---|\n| ${index} | ${index + 1} |`,
    '',
  ].join('\n\n')
}

function article(length: number): string {
  let text = ''
  for (let index = 1; text.length < length; index++) text += section(index)
  return `${text.slice(0, length)}\n\nThe end.`
}

/** Says a text in tokens of four characters, so many a second. */
function pacedModel(text: string, tokensPerSecond: number): Model & { readonly done: Promise<void> } {
  const done = Promise.withResolvers<void>()
  return {
    name: 'm',
    done: done.promise,
    async *stream({ signal }) {
      const startedAt = performance.now()
      for (let said = 0; said < text.length && !signal.aborted; ) {
        const due = Math.min(text.length, 4 * Math.floor(((performance.now() - startedAt) / 1000) * tokensPerSecond))
        for (; said < due; said += 4) yield text.slice(said, said + 4)
        await pause(5)
      }
      done.resolve()
    },
  }
}

/** Asks, and measures what the page does while nothing asks it: a question of Playwright is script of its own in each frame. */
async function measure(driver: Driver, name: string, act: () => Promise<unknown>): Promise<FrameCost> {
  const { page } = driver
  const rate = Number(process.env.THROTTLE ?? 1)
  if (rate > 1) await (await page.context().newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate })
  await driver.ask('go')
  await driver.textWith('Section 1')
  const shifts = await watchShifts(page)
  const cost = await measureFrames(page, async () => void (await act()))
  process.stdout.write(`${name}: ${JSON.stringify(cost)}\n`)
  expect(await shifts()).toEqual([])
  expect(cost.frames).toBeGreaterThan(10)
  return cost
}

test('an answer of 100 tokens a second', async () => {
  const model = pacedModel(article(4_000), 100)
  await using stage = await startStage({ models: { m: model }, model: 'm' })
  const driver = await stage.open()
  const { script } = await measure(driver, '100 tokens/s', () => model.done)
  expect(script.p95).toBeLessThan(scriptMsMax)
  await driver.textWith('The end.')
}, 60_000)

test('an answer of 100,000 characters is only touched at its end', async () => {
  const model = pacedModel(article(100_000), 1_500)
  await using stage = await startStage({ models: { m: model }, model: 'm' })
  const driver = await stage.open()
  const { page } = driver
  await measure(driver, '100,000 characters, 1,500 tokens/s, first 4 s', () => pause(4_000))
  await page.evaluate(() => {
    const touched: string[] = []
    Object.assign(window, { touched })
    const prose = document.querySelector('[data-testid="answer-text"] > div')
    if (prose === null) throw new Error('There is no answer.')
    new MutationObserver((changes) => {
      // What came since the last rendering, and the two blocks before it, which were still open.
      const added = changes.filter(({ target }) => target === prose).flatMap(({ addedNodes }) => [...addedNodes])
      const last = [...prose.children].slice(-added.length - 2)
      for (const { target } of changes)
        if (target !== prose && !last.some((block) => block.contains(target)))
          touched.push(target.textContent?.slice(0, 60) ?? '')
    }).observe(prose, { subtree: true, childList: true, characterData: true })
  })
  const cost = await measureFrames(page, () => model.done)
  process.stdout.write(`100,000 characters, the rest: ${JSON.stringify(cost)}\n`)
  expect(await page.evaluate(() => (window as unknown as { touched: string[] }).touched)).toEqual([])
  await driver.textWith('The end.')
}, 60_000)

test('an answer below 500 others touches none of them, and typing goes on', async () => {
  const model = pacedModel(article(4_000), 100)
  await using stage = await startStage({ models: { m: model }, model: 'm' })
  const session = 'a-long-conversation'
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${stage.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).text()
  }
  await post('/api/sessions', { id: session })
  for (let turn = 0; turn < 500; turn++) await post('/api/chat', { session, query: section(turn), model: 'sim:echo?tps=0' })
  const openedAt = performance.now()
  const driver = await stage.open(`/?session=${session}`)
  await driver.textWith('Section 499')
  process.stdout.write(`500 turns: opened in ${Math.round(performance.now() - openedAt)} ms\n`)
  const { page, composer } = driver
  await page.evaluate(() => {
    const seen = { keyMs: [] as number[], touched: 0 }
    Object.assign(window, { seen })
    new PerformanceObserver((list) => {
      for (const { name, duration } of list.getEntries()) if (name === 'keydown') seen.keyMs.push(duration)
    }).observe({ type: 'event', durationThreshold: 16 } as PerformanceObserverInit)
    const watch = new MutationObserver((changes) => (seen.touched += changes.length))
    // The last one loses its buttons when another question is asked.
    for (const turn of [...document.querySelectorAll('article')].slice(0, -1))
      watch.observe(turn, { subtree: true, childList: true, characterData: true, attributes: true })
  })
  const typed = 'something typed while the answer arrives'
  const { script } = await measure(driver, '500 turns, 100 tokens/s', async () => {
    await page.keyboard.type(typed, { delay: 50 })
    await model.done
  })
  const { keyMs, touched } = await page.evaluate(() => (window as unknown as { seen: { keyMs: number[]; touched: number } }).seen)
  process.stdout.write(`500 turns: from a key to its paint, those of 16 ms and more: ${JSON.stringify(keyMs)}\n`)
  expect(touched).toBe(0)
  expect(script.p95).toBeLessThan(scriptMsMax)
  expect(await composer.inputValue()).toBe(typed)
}, 120_000)
