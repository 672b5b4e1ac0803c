/** Writing the question: input methods, drafts, keys, and the two languages of the page itself. */
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { gatedModel } from './support/gated-model.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

test('Enter that accepts a word of an input method does not send (Chromium’s order of events)', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const page = await stage.open()
  await page.composer.focus()
  const devtools = await page.page.context().newCDPSession(page.page)
  await devtools.send('Input.imeSetComposition', { text: 'nihao', selectionStart: 5, selectionEnd: 5 })
  // As from a real input method, the key brings no text of its own.
  const enter = { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 }
  await page.composer.evaluate((field) => {
    field.addEventListener(
      'keydown',
      (event) => field.setAttribute('data-key', JSON.stringify((event as KeyboardEvent).isComposing)),
      { once: true },
    )
  })
  await devtools.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...enter })
  await devtools.send('Input.dispatchKeyEvent', { type: 'keyUp', ...enter })
  // Otherwise the test would prove nothing: this Enter was one of a composition.
  expect(await page.composer.getAttribute('data-key')).toBe('true')
  await devtools.send('Input.insertText', { text: '你好' })
  expect(await page.composer.inputValue()).toBe('你好')
  await pressUntilSent(page)
  await page.reaches('completed')
  expect(await page.page.locator('article h2').allTextContents()).toEqual([expect.stringMatching(/你好$/)])
})

test('nor does Safari’s, which ends the composition before the key', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const page = await stage.open()
  await page.composer.fill('你好')
  await page.composer.evaluate((field) => {
    field.dispatchEvent(new CompositionEvent('compositionend', { bubbles: true, data: '你好' }))
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }))
  })
  expect(await page.composer.inputValue()).toBe('你好')
  await pressUntilSent(page)
  await page.reaches('completed')
  expect(await page.page.locator('article').count()).toBe(1)
})

test('Shift+Enter makes a line; on a phone Enter does, and the button sends', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const desk = await stage.open()
  await desk.composer.fill('one')
  await desk.composer.press('Shift+Enter')
  await desk.composer.pressSequentially('two')
  expect(await desk.composer.inputValue()).toBe('one\ntwo')

  const phone = await stage.open('/', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true })
  await phone.composer.fill('one')
  await phone.composer.press('Enter')
  expect(await phone.composer.inputValue()).toBe('one\n')
  await phone.send.tap()
  await phone.reaches('completed')
})

test('Enter makes a line where the reader chose so, also after a reload, and Ctrl+Enter sends', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const { page, composer, ...driver } = await stage.open()
  const choice = page.getByTestId('enter')
  expect(await choice.textContent()).toBe('Enter sends')
  await choice.click()
  expect(await choice.textContent()).toBe('Ctrl+Enter sends')
  await page.reload()
  await composer.fill('one')
  await composer.press('Enter')
  await composer.pressSequentially('two')
  expect(await composer.inputValue()).toBe('one\ntwo')
  await composer.press('Control+Enter')
  await driver.reaches('completed')
  // The same in a question that is edited.
  await page.getByTestId('edit').click()
  const editor = page.getByTestId('editor').getByRole('textbox')
  await editor.press('Enter')
  expect(await editor.inputValue()).toBe('one\ntwo\n')
  await editor.press('Control+Enter')
  await page.getByTestId('versions').waitFor()
  await choice.click()
  await driver.ask('again')
  await expect.poll(() => composer.inputValue()).toBe('')
})

test('no field is smaller than 16 pixels on a phone, which would zoom into it', async () => {
  await using stage = await startStage({ model: 'sim:tool?name=mail&approve=1' })
  const { page, ...phone } = await stage.open('/', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true })
  await phone.composer.fill('write')
  await phone.send.tap()
  await page.getByTestId('edit-call').tap()
  await page.getByTestId('edit').tap()
  await page.getByTestId('model-menu').tap()
  await page.getByTestId('model-search').waitFor()
  const sizes = () =>
    page.locator('input:not([hidden]), textarea').evaluateAll((fields) => fields.map((field) => getComputedStyle(field).fontSize))
  // The question's, the call's, the composer's, and that of the models.
  expect(await sizes()).toEqual(Array(4).fill('16px'))
  await page.keyboard.press('Escape')
  await page.getByTestId('history-toggle').tap()
  await page.getByTestId('history-more').tap()
  await page.getByTestId('history-rename').tap()
  await page.getByTestId('history-title').waitFor()
  expect(new Set(await sizes())).toEqual(new Set(['16px']))
})

test('everything is reached without a mouse: a model, a question, and Stop one Tab from the text', async () => {
  const model = gatedModel('test:gated')
  await using stage = await startStage({ models: { 'test:gated': model } })
  const { page, composer, ...driver } = await stage.open()
  await page.getByTestId('model-menu').focus()
  await page.keyboard.press('Enter')
  await page.keyboard.type('gated')
  await page.locator('[data-model="test:gated"][aria-selected="true"]').waitFor()
  await page.keyboard.press('Enter')
  expect(await composer.evaluate((field) => field === document.activeElement)).toBe(true)
  await page.keyboard.type('go')
  await page.keyboard.press('Enter')
  model.say('on its way')
  await driver.textWith('on its way')
  expect(await composer.evaluate((field) => field === document.activeElement)).toBe(true)
  await page.keyboard.press('Tab')
  expect(await driver.stop.evaluate((button) => button === document.activeElement)).toBe(true)
  await page.keyboard.press('Enter')
  await driver.reaches('stopped')
  expect(await composer.evaluate((field) => field === document.activeElement)).toBe(true)
})

test('the composer is as high as what is written in it, up to a bound from which on it scrolls', async () => {
  await using stage = await startStage()
  const { composer } = await stage.open()
  const height = () => composer.evaluate((field) => field.clientHeight)
  const one = await height()
  await composer.fill('line\n'.repeat(4))
  const five = await height()
  expect(five).toBe(one + 4 * 24)
  await composer.fill('line\n'.repeat(99))
  expect(await height()).toBe(240)
  expect(await composer.evaluate((field) => field.scrollHeight)).toBeGreaterThan(2_000)
  await composer.fill('')
  expect(await height()).toBe(one)
})

test('a draft outlives a reload and leaves with the question', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3' })
  const page = await stage.open()
  await page.composer.fill('half a thought')
  await page.page.reload()
  await expect.poll(() => page.composer.inputValue()).toBe('half a thought')
  await page.composer.press('Enter')
  await page.reaches('completed')
  // Each conversation has its own.
  await page.composer.fill('to be continued')
  await page.page.getByTestId('new-session').click()
  expect(await page.composer.inputValue()).toBe('')
  await page.page.goBack()
  await expect.poll(() => page.composer.inputValue()).toBe('to be continued')
})

test('the page speaks the browser’s language, and the other one when told to', async () => {
  await using stage = await startStage()
  const page = await stage.open('/', { locale: 'zh-CN' })
  await page.page.getByText('提个问题，看回答逐字到来').waitFor()
  expect(await page.page.locator('html').getAttribute('lang')).toBe('zh-CN')
  await page.page.locator('[data-suggestion="compare"]').click()
  await page.page.getByText('token/秒').first().waitFor()
  await page.isConnected('live')
  expect(await page.connection.textContent()).toContain('实时')

  await page.page.getByTestId('language').click()
  expect(await page.page.locator('html').getAttribute('lang')).toBe('en')
  await page.page.getByText('tok/s').first().waitFor()
  await page.page.reload()
  await page.page.getByText('tok/s').first().waitFor()
  expect(await page.composer.getAttribute('placeholder')).toBe('Ask something…')
})

test('the theme follows the system until it is chosen', async () => {
  await using stage = await startStage()
  const page = await stage.open('/', { colorScheme: 'dark' })
  const ground = () => page.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  const dark = await ground()
  await page.page.getByTestId('theme').click()
  const light = await ground()
  expect(light).not.toBe(dark)
  await page.page.reload()
  expect(await ground()).toBe(light)
})

/** Right after a composition Enter still belongs to it, so it may take more than one press. */
async function pressUntilSent({ composer }: Driver): Promise<void> {
  const press = async () => {
    await composer.press('Enter')
    return composer.inputValue()
  }
  await expect.poll(press).toBe('')
}
