/** A server with authentication: what a person in front of the page sees, and the way in. */
import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()
const secret = 'a secret of a test, which has 32 bytes'
const access = { tokens: { secret } }
const nowSeconds = () => Math.floor(Date.now() / 1000)

function sign(claims: object = {}): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg: 'HS256' })}.${encode({ sub: 'ada', exp: nowSeconds() + 600, ...claims })}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

test('the page asks for a token, says what is wrong with another, and goes on with the right one', async () => {
  await using stage = await startStage({ model: 'sim:count?n=5&tps=0', access })
  const { page, ...driver } = await stage.open()
  const form = page.getByTestId('sign-in')
  await form.getByText('This server asks who you are').waitFor()
  const field = page.getByTestId('token')
  expect(await field.evaluate((input) => document.activeElement === input)).toBe(true)
  await field.fill('nonsense 令牌')
  await field.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'does not accept this token' }).waitFor()
  const token = sign()
  await field.fill(` ${token}\n`)
  await field.press('Enter')
  await driver.ask('count')
  await driver.reaches('completed')
  expect(await driver.textWith('5')).toBe('1 2 3 4 5')
  // Kept for a reload of this tab, and never in an address.
  expect(page.url()).toMatch(/\?session=/)
  expect(page.url()).not.toMatch(/token|ey[JK]/i)
  await page.reload()
  expect(await driver.textWith('5')).toBe('1 2 3 4 5')
  await page.getByTestId('sign-out').click()
  await form.waitFor()
  expect(await page.evaluate(() => JSON.stringify([window.sessionStorage, window.localStorage]))).not.toMatch(token)
})

test.each(['sse', 'ws', 'hybrid', 'poll'] as const)('a token works over %s', async (transport) => {
  await using stage = await startStage({ model: 'sim:count?n=5&tps=0', access })
  const driver = await stage.open()
  await driver.page.getByTestId('token').fill(sign())
  await driver.page.getByTestId('token').press('Enter')
  await driver.chooseTransport(transport)
  await driver.ask('count')
  await driver.reaches('completed')
})

test('a token that is no longer valid leads back to the field, and nothing that was said is lost', async () => {
  await using stage = await startStage({ model: 'sim:count?n=5&tps=0', access })
  const { page, ...driver } = await stage.open()
  await page.getByTestId('token').fill(sign())
  await page.getByTestId('token').press('Enter')
  await driver.ask('count')
  await driver.reaches('completed')
  await page.evaluate((expired) => window.sessionStorage.setItem('millrace.token', expired), sign({ exp: nowSeconds() - 3600 }))
  await page.reload()
  await page.getByText('Your token has expired').waitFor()
  await page.getByTestId('token').fill(sign())
  await page.getByTestId('token').press('Enter')
  expect(await driver.textWith('5')).toBe('1 2 3 4 5')
})

test('the way in is in both languages and both themes, and fits a phone', async () => {
  await using stage = await startStage({ access })
  const { page } = await stage.open('/', { locale: 'zh-CN', colorScheme: 'dark', viewport: { width: 320, height: 568 } })
  await page.getByText('此服务器需要确认你的身份').waitFor()
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(320)
  await page.getByTestId('language').click()
  await page.getByText('This server asks who you are').waitFor()
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 1280, height: 800 })
})
