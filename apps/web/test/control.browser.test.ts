/** Stopping, asking during an answer, and what happens when a model or a question fails. */
import { expect, test } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

test('stop keeps what was said, here and after a reload', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  model.say('Half an answer')
  await page.ask('tell me')
  await page.textWith('Half an answer')
  expect(model.isAborted).toBe(false)
  await page.stop.click()
  await page.reaches('stopped')
  expect(model.isAborted).toBe(true)
  await page.stop.waitFor({ state: 'detached' })
  expect(await page.textWith('Half')).toBe('Half an answer')
  expect(await page.answer().textContent()).toContain('Stopped')
  await page.page.reload()
  await page.reaches('stopped')
  expect(await page.textWith('Half')).toBe('Half an answer')
})

test('a question asked during an answer waits for its end, and Escape in an empty composer stops', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  model.say('first')
  await page.ask('one')
  await page.textWith('first')
  await page.ask('two')
  await page.page.locator('[data-pending="queued"]').waitFor()
  await page.composer.fill('not empty')
  await page.composer.press('Escape')
  await page.composer.fill('')
  await page.composer.press('Escape')
  // Stopping does not start what waits; that is one more press.
  await page.reaches('stopped')
  await page.page.locator('[data-pending="queued"]').getByText('was stopped').waitFor()
  await page.page.getByTestId('steer').click()
  await page.page.locator('article[data-status="stopped"] + article[data-status="streaming"]').waitFor()
  model.say('second')
  model.end()
  await page.reaches('completed')
  expect(await page.textWith('second')).toBe('second')
})

test('a question that waits is changed, withdrawn or asked now, in whichever tab', async () => {
  await using gated = await openGated(startStage)
  const { model, stage, page } = gated
  model.say('first')
  await page.ask('one')
  await page.textWith('first')
  await page.ask('two')
  await page.ask('three')
  const device = await stage.open(page.page.url())
  const waiting = ({ page: tab }: typeof page) => tab.locator('[data-pending="queued"]')
  await waiting(device).nth(1).waitFor()
  await waiting(device).first().getByTestId('edit').click()
  const editor = device.page.getByTestId('editor').getByRole('textbox')
  await editor.fill('two, in other words')
  await editor.press('Enter')
  await waiting(page).getByText('two, in other words').waitFor()
  await waiting(page).last().getByRole('button', { name: 'Withdraw' }).click()
  await waiting(device).nth(1).waitFor({ state: 'detached' })
  expect(await page.composer.inputValue()).toBe('three')
  // What is being answered is stopped for it, and kept.
  await page.page.getByTestId('steer').click()
  await device.page.locator('article[data-status="stopped"] + article[data-status="streaming"]').waitFor()
  model.say('second')
  model.end()
  for (const one of [page, device]) {
    await one.reaches('completed')
    expect(await one.textWith('second')).toBe('second')
    expect(await one.page.locator('article h2').allTextContents()).toEqual(['You: one', 'You: two, in other words'])
  }
})

test('of several answers at once each can be stopped alone, and Stop ends them all', async () => {
  const [a, b] = [gatedModel('test:a'), gatedModel('test:b')]
  await using stage = await startStage({ models: { 'test:a': a, 'test:b': b }, model: 'test:a' })
  const page = await stage.open()
  a.say('one')
  await page.ask('go')
  await page.textWith('one')
  const session = new URL(page.page.url()).searchParams.get('session')
  const askElsewhere = (model: string) =>
    fetch(`${stage.url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ session, query: 'elsewhere', model }),
    })
  const buttons = page.page.getByTestId('stop-run')
  expect(await buttons.count()).toBe(0)
  b.say('two')
  await askElsewhere('test:b')
  await page.textWith('two')
  await expect.poll(() => buttons.count()).toBe(2)
  await buttons.first().click()
  await page.page.locator('article[data-status="stopped"] + article[data-status="streaming"]').waitFor()
  await buttons.first().waitFor({ state: 'detached' })
  a.say('three')
  await askElsewhere('test:a')
  await page.textWith('three')
  await page.stop.click()
  await expect.poll(() => page.page.locator('article[data-status="stopped"]').count()).toBe(3)
})

test('an error stands below what was said, and Retry asks the same again in its place', async () => {
  await using gated = await openGated(startStage, { onError: () => {} })
  const { model, page } = gated
  model.say('as far as it got')
  model.fail(new Error('the inside of the server'))
  await page.ask('try')
  await page.reaches('failed')
  expect(await page.textWith('as far')).toBe('as far as it got')
  const card = page.answer().getByTestId('error')
  expect(await card.getAttribute('data-code')).toBe('model_failed')
  expect(await page.page.content()).not.toContain('the inside of the server')
  model.say('the whole answer')
  model.end()
  await card.getByTestId('retry').click()
  await page.reaches('completed')
  expect(await page.page.locator('article h2').allTextContents()).toEqual([expect.stringContaining('try')])
  expect(await page.textWith('the whole answer')).toBe('the whole answer')
})

test.each(['guide', 'long', 'compare', 'tool'])('the suggestion %s of the empty page is answered', async (name) => {
  await using stage = await startStage({ model: 'builtin:guide' })
  const page = await stage.open()
  await page.page.locator(`[data-suggestion="${name}"]`).click()
  if (name === 'tool') await page.page.getByTestId('approval').waitFor()
  else await page.textWith(name === 'guide' ? 'Millrace' : '5')
  expect(await page.page.getByTestId('answer').count()).toBe(name === 'compare' ? 2 : 1)
})

test('a question that is refused can be taken back into the composer', async () => {
  await using stage = await startStage()
  const page = await stage.open()
  await page.chooseModels('nobody:nothing')
  await page.ask('a question worth keeping')
  const card = page.page.getByTestId('error')
  await card.waitFor()
  await card.getByRole('button', { name: 'Withdraw' }).click()
  await expect.poll(() => page.composer.inputValue()).toBe('a question worth keeping')
  await card.waitFor({ state: 'detached' })
})

test('an answer is copied as the markdown that it was written in, also where there is no clipboard to write to', async () => {
  const model = gatedModel('test:gated')
  await using stage = await startStage({ models: { 'test:gated': model }, model: 'test:gated' })
  const { page, composer, ...driver } = await stage.open()
  const markdown = '# Title\n\nSome **words** and `code`:\n\n- one\n- two'
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  model.say(markdown)
  model.end()
  await driver.ask('write')
  await driver.reaches('completed')
  const copy = driver.answer().getByRole('button', { name: 'Copy answer' })
  await copy.click()
  await copy.getByText('Copied').waitFor()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(markdown)
  // As on plain http, anywhere but on localhost.
  await page.evaluate(async () => {
    await navigator.clipboard.writeText('')
    Object.defineProperty(navigator, 'clipboard', { value: undefined })
  })
  await copy.getByText('Copied').waitFor({ state: 'detached' })
  await copy.click()
  await copy.getByText('Copied').waitFor()
  await composer.press('ControlOrMeta+V')
  expect(await composer.inputValue()).toBe(markdown)
})

test('the new-conversation button leads to an empty page, and Back to the one before', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const page = await stage.open()
  await page.ask('count')
  await page.reaches('completed')
  await page.page.getByTestId('new-session').click()
  await page.page.locator('[data-suggestion="guide"]').waitFor()
  expect(new URL(page.page.url()).search).toBe('')
  await page.page.goBack()
  await page.reaches('completed')
})
