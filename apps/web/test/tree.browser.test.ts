/** A conversation is a tree: a question asked in other words, an answer given again, one of several that is gone on from. */
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()
const versions = ({ page }: Driver) => page.getByTestId('versions')
const questions = async ({ page }: Driver) => (await page.locator('article h2').allTextContents()).map((text) => text.slice(5))

async function startGated() {
  const gated = await openGated(startStage, { onError: () => {} })
  const { model, page } = gated
  const exchange = async (question: string, answer: string) => {
    model.say(answer)
    model.end()
    await page.ask(question)
    await page.textWith(answer)
    await page.reaches('completed')
  }
  return { ...gated, exchange }
}

test('an answer is given again beside the first one, and the first is one press away', async () => {
  await using gated = await startGated()
  const { model, page, exchange } = gated
  await exchange('one', 'the first')
  expect(await versions(page).count()).toBe(0)
  model.say('the second')
  await page.page.getByTestId('regenerate').click()
  await page.textWith('the second')
  expect(await versions(page).textContent()).toBe('2 / 2')
  expect(await page.composer.evaluate((field) => field === document.activeElement)).toBe(true)
  await page.stop.click()
  await page.reaches('stopped')
  await page.page.getByTestId('version-before').click()
  expect(await page.textWith('the first')).toBe('the first')
  expect([await versions(page).textContent(), await questions(page)]).toEqual(['1 / 2', ['one']])
  expect(await page.page.getByTestId('version-before').isDisabled()).toBe(true)
  // What is asked now follows what is shown.
  await exchange('two', 'after the first')
  expect(await page.page.getByTestId('answer-text').allTextContents()).toEqual(['the first', 'after the first'])
  await page.page.reload()
  await page.textWith('after the first')
  await page.page.getByTestId('version-after').click()
  expect(await page.textWith('the second')).toBe('the second')
  expect(await questions(page)).toEqual(['one'])
})

test('a question is asked in other words, and what had followed it stays', async () => {
  await using gated = await startGated()
  const { model, page, exchange } = gated
  await exchange('one', 'first answer')
  await exchange('two', 'second answer')
  const editor = page.page.getByTestId('editor').getByRole('textbox')
  await page.page.getByTestId('edit').first().click()
  await editor.press('Escape')
  expect(await questions(page)).toEqual(['one', 'two'])
  await page.page.getByTestId('edit').first().click()
  expect(await editor.inputValue()).toBe('one')
  await editor.fill('another one')
  model.say('another answer')
  model.end()
  await editor.press('Enter')
  await page.textWith('another answer')
  expect([await questions(page), await versions(page).textContent()]).toEqual([['another one'], '2 / 2'])
  // In another tab it is the same.
  const device = await gated.stage.open(page.page.url())
  await device.textWith('another answer')
  await device.page.getByTestId('version-before').click()
  await device.textWith('second answer')
  expect(await questions(device)).toEqual(['one', 'two'])
})

test('what failed is asked again in its place, and by another model where one is chosen', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  model.say('half')
  model.fail(new Error('broken'))
  await page.ask('one')
  await page.reaches('failed')
  model.say('whole')
  model.end()
  await page.answer().getByTestId('retry').click()
  await page.reaches('completed')
  expect([await questions(page), await page.textWith('whole'), await versions(page).textContent()]).toEqual([
    ['one'],
    'whole',
    '2 / 2',
  ])
  await page.chooseModels('sim:count?n=3&tps=0')
  await page.page.getByTestId('regenerate-with').click()
  expect(await page.textWith('3', 'sim:count?n=3&tps=0')).toBe('1 2 3')
  expect(await versions(page).textContent()).toBe('3 / 3')
})

test('of several answers one is used: the next question follows it, and the others are one line', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const page = await stage.open()
  await page.chooseModels('sim:count?n=3&tps=0', 'sim:echo?tps=0')
  await page.ask('echo this')
  for (const lane of ['sim:count?n=3&tps=0', 'sim:echo?tps=0']) await page.reaches('completed', lane)
  await page.answer('sim:echo?tps=0').getByTestId('use').click()
  await page.page.getByTestId('aside').waitFor()
  expect(await page.page.getByTestId('answer').count()).toBe(1)
  // Another choice is possible until something is asked.
  await page.page.getByTestId('aside').click()
  expect(await page.textWith('3')).toBe('1 2 3')
  await page.page.getByTestId('model-chip-remove').last().click()
  await page.chooseModels('sim:echo?show=messages&tps=0')
  await page.ask('and now?')
  const messages = JSON.parse(await page.textWith('and now?'))
  expect(JSON.stringify(messages)).toContain('1 2 3')
  await page.page.reload()
  await page.textWith('and now?')
  expect(await page.page.getByTestId('answer').first().getAttribute('data-lane')).toBe('sim:count?n=3&tps=0')
  expect(await page.page.getByTestId('aside').textContent()).toContain('sim:echo')
})
