/** A page whose elements somebody else changes, as translators and extensions do, and answers that are hard to draw. */
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

/** What the translators of browsers do: each text becomes two elements. `hasManners`: it leaves alone what says so. */
function translate(page: Page, hasManners: boolean): Promise<void> {
  return page.evaluate((isPolite) => {
    const walk = (node: Node) => {
      for (const child of node.childNodes) {
        if (
          child instanceof Text &&
          child.data.trim() !== '' &&
          child.parentElement?.closest('font, textarea, script') === null
        ) {
          if (isPolite && child.parentElement.closest('[translate=no]') !== null) continue
          const [outer, inner] = [document.createElement('font'), document.createElement('font')]
          inner.append(child.data.toUpperCase())
          outer.append(inner)
          child.replaceWith(outer)
        } else walk(child)
      }
    }
    walk(document.body)
  }, hasManners)
}

const pieces = [
  'Steps:\n\n1. the first',
  ' of **the** steps\n\n',
  '2. the second [',
  'link](https://a.example) and `co',
  'de`\n\n| a | b |\n|---|---|\n| 1 | 2',
  '<br>3 |\n\n```ts\nconst a',
  ' = 1\n```\n\n> done\n\n- x ~~y~~\n',
]

test.each([true, false])('a page that is translated while an answer comes goes on (polite: %s)', async (hasManners) => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  model.say('earlier')
  model.end()
  await page.ask('first')
  await page.reaches('completed')
  await page.ask('second')
  let length = 0
  for (const piece of pieces) {
    await translate(page.page, hasManners)
    model.say(piece)
    length += piece.length
    await page.page.getByText(String(length)).first().waitFor()
  }
  await translate(page.page, hasManners)
  model.end()
  await page.reaches('completed')
  await translate(page.page, hasManners)
  await page.page.getByTestId('language').click()
  expect(await page.page.getByTestId('plain-answer').count()).toBe(0)
  expect(await page.page.getByTestId('page-failure').count()).toBe(0)
  expect((await page.answer().locator('li, td, pre').allTextContents()).join(' ').toLowerCase()).toContain(
    'the second link and code',
  )
})

test('an answer that cannot be drawn is shown as its text, and the rest of the page goes on', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  model.say('one **two**')
  await page.ask('go')
  await page.textWith('one two')
  // An extension that takes an element away of which React thinks that it is there.
  await page.page.evaluate(() => document.querySelector('[data-testid=answer-text] p')?.remove())
  model.say('\n===\n\nthree')
  await page.page.getByTestId('plain-answer').waitFor()
  expect(await page.textWith('three')).toBe('one **two**\n===\n\nthree')
  // Its end is a new attempt.
  model.end()
  await page.reaches('completed')
  await page.page.getByTestId('plain-answer').waitFor({ state: 'detached' })
  expect(await page.answer().locator('h3').textContent()).toBe('one two')
  model.say('after')
  model.end()
  await page.ask('more')
  expect(await page.textWith('after')).toBe('after')
})

test('a page that cannot be drawn says so, and has all of it again after a reload', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  model.say('kept')
  await page.ask('go')
  await page.textWith('kept')
  await page.page.evaluate(() => document.querySelector('[data-testid="stop"]')?.remove())
  model.end()
  await page.page.getByTestId('page-failure').waitFor()
  await page.page.getByRole('button', { name: 'Reload the page' }).click()
  expect(await page.textWith('kept')).toBe('kept')
})

test.each([
  ['quotes', '>'.repeat(2_000)],
  ['lists', '- '.repeat(3_000)],
  ['both', '> - '.repeat(2_000)],
  ['brackets', '['.repeat(5_000)],
  ['exclamation marks', '!'.repeat(40_000)],
  ['line ends', `{"a": 1${'\n'.repeat(40_000)}}`],
])('a conversation with an answer of %s without end can be opened again', async (_, text) => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  for (let start = 0; start < text.length; start += 500) model.say(text.slice(start, start + 500))
  model.say(' end')
  await page.ask('go')
  await page.textWith('end')
  model.end()
  await page.reaches('completed')
  await page.page.reload()
  await page.textWith('end')
  expect(await page.page.getByTestId('plain-answer').count()).toBe(0)
})
