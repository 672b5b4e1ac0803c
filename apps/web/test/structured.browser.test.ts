/** Answers that were asked for as JSON: formatted while they grow, whatever the text turns out to be. */
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage, type Stage } from './support/stage.ts'

const startStage = prepareStage()

/** As an application asks; the page has no field for it. */
async function askForJson(stage: Stage, page: Driver): Promise<void> {
  const session = new URL(page.page.url()).searchParams.get('session')
  const response = await fetch(`${stage.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ session, query: 'as JSON', params: { responseFormat: { type: 'json' } } }),
  })
  expect(response.status).toBe(202)
}

async function startJson() {
  const gated = await openGated(startStage, {}, { takes: ['responseFormat'] })
  const { model, page, stage } = gated
  model.say('plain')
  model.end()
  await page.ask('first')
  await page.reaches('completed')
  await askForJson(stage, page)
  await page.reaches('streaming')
  return { ...gated, json: page.answer().locator('pre') }
}

test('JSON grows line by line, and is the same after a reload', async () => {
  await using started = await startJson()
  const { model, page, json } = started
  model.say('{"city":"Sha')
  await json.filter({ hasText: 'Sha' }).waitFor()
  await expect.poll(() => json.textContent()).toBe('{\n  "city": "Sha')
  const line = await json.locator('code > span').first().elementHandle()
  model.say('nghai","days":[{"high":')
  await json.filter({ hasText: 'high' }).waitFor()
  await expect.poll(() => json.textContent()).toBe('{\n  "city": "Shanghai",\n  "days": [\n    {\n      "high": ')
  model.say('28.50,"rain":nul')
  await json.filter({ hasText: '"rain": nul' }).waitFor()
  expect(await json.textContent()).toContain('\n      "high": 28.50,\n      "rain": nul')
  // It grows in place: a reader's selection would be gone with the element.
  expect(await line?.evaluate((element) => element.isConnected)).toBe(true)
  model.say('l}]}')
  model.end()
  await page.reaches('completed')
  const whole = '{\n  "city": "Shanghai",\n  "days": [\n    {\n      "high": 28.50,\n      "rain": null\n    }\n  ]\n}'
  const shown = async () => (await json.textContent())?.trimEnd()
  expect(await shown()).toBe(whole)
  await json.locator('[data-kind="attr"]').first().waitFor()
  await page.page.reload()
  await json.waitFor()
  expect(await shown()).toBe(whole)
  // Long texts go on below instead of behind the edge.
  expect(await json.evaluate((element) => getComputedStyle(element).whiteSpace)).toBe('pre-wrap')
  // Beside it, what was not asked for as JSON is as ever.
  expect(await page.page.getByTestId('answer-text').first().textContent()).toBe('plain')
})

test.each([
  ['text instead of JSON', 'I **cannot** do that.', 'I cannot do that.'],
  ['a fence around it', '```json\n{"a":1}\n```', '{"a":1}'],
])('%s is shown as any other answer', async (_, said, shown) => {
  await using started = await startJson()
  const { model, page } = started
  for (const piece of said) model.say(piece)
  model.end()
  await page.reaches('completed')
  expect(await page.textWith(shown)).toContain(shown)
})

test('JSON that is cut off stays readable', async () => {
  await using started = await startJson()
  const { model, page, json } = started
  model.say('{"a":[1,2,{"b":"half a wo')
  await json.filter({ hasText: 'half a wo' }).waitFor()
  await page.stop.click()
  await page.reaches('stopped')
  expect((await json.textContent())?.trimEnd()).toBe('{\n  "a": [\n    1,\n    2,\n    {\n      "b": "half a wo')
})
