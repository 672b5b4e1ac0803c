/** Each state of the page, in both themes and languages, as axe sees it. */
import axe from 'axe-core'
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { gatedModel } from './support/gated-model.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

/** What axe finds wrong in a state, by rule, with the element. */
async function check({ page }: Driver, state: string, problems: string[]): Promise<void> {
  // Not a script of the page: its policy would refuse it.
  await page.evaluate(axe.source)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const violations = await page.evaluate(async () => {
      const { violations } = await (window as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ['violations'] })
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)
    })
    problems.push(...violations.map((violation) => `${state}, ${colorScheme}: ${violation}`))
  }
}

const answer = [
  '# Title\n\nSome **words**, `code` and a [link](https://a.example).\n\n> quoted\n\n- [x] done\n- [ ] open\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n```ts\n/* c */ const a: string = "x" + 1\nclass B {}\n```\n\nEnd.',
]

test.each(['en-US', 'zh-CN'])('a conversation from its first question to its last error, %s', async (locale) => {
  const problems: string[] = []
  const model = gatedModel('test:gated')
  await using stage = await startStage({ models: { 'test:gated': model }, model: 'test:gated', onError: () => {} })
  const page = await stage.open('/', { locale })
  await page.page.locator('[data-suggestion]').first().waitFor()
  await check(page, 'empty', problems)
  model.say({ reasoning: 'Hm.' })
  await page.ask('first')
  await page.answer().getByText('Hm.').waitFor()
  await check(page, 'thinking', problems)
  model.say(answer[0] as string)
  await page.textWith('done')
  await check(page, 'writing', problems)
  await page.ask('second')
  await page.page.locator('[data-pending="queued"]').waitFor()
  await check(page, 'queued', problems)
  model.say(answer[1] as string)
  model.end()
  await page.page.locator('article[data-status="completed"]').waitFor()
  await page.page.locator('[data-kind="keyword"]').first().waitFor()
  model.fail(new Error('broken'))
  await page.page.locator('article[data-status="failed"]').waitFor()
  await check(page, 'completed and failed', problems)
  model.say('again')
  model.end()
  await page.answer().getByTestId('retry').click()
  await page.page.getByTestId('versions').waitFor()
  await page.reaches('completed')
  await check(page, 'versions', problems)
  await page.page.getByTestId('edit').last().click()
  await check(page, 'editing', problems)
  await page.page.keyboard.press('Escape')
  await page.page.getByTestId('model-menu').click()
  await check(page, 'models', problems)
  await page.page.keyboard.press('Escape')
  await page.page.getByTestId('transport').click()
  await check(page, 'transports', problems)
  await page.page.keyboard.press('Escape')
  await page.answer().getByTestId('inspect').click()
  await page.page.getByTestId('wire-event').first().waitFor()
  await check(page, 'events', problems)
  await page.page.keyboard.press('Escape')
  await page.page.getByTestId('history-toggle').click()
  await page.page.getByTestId('history-more').first().click()
  await page.page.getByTestId('history-delete').click()
  await check(page, 'conversations', problems)
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await page.isConnected('reconnecting')
  await page.ask('third')
  await page.page.locator('[data-pending="waiting"]').waitFor()
  await check(page, 'reconnecting', problems)
  expect(problems).toEqual([])
})

test('lanes, a call that waits, a conversation that is not there, and the phone', async () => {
  const problems: string[] = []
  await using stage = await startStage()
  const page = await stage.open()
  await page.page.locator('[data-suggestion="tool"]').click()
  await page.page.getByTestId('approval').waitFor()
  await check(page, 'approval', problems)
  await page.page.getByTestId('edit-call').click()
  await check(page, 'approval with other arguments', problems)
  const compared = await stage.open()
  await compared.chooseModels('sim:count?n=3&tps=0', 'sim:fail')
  await compared.ask('go')
  await compared.reaches('failed', 'sim:fail')
  await check(compared, 'lanes', problems)
  await compared.answer('sim:fail').getByTestId('focus').click()
  await check(compared, 'one lane of several', problems)
  const phone = await stage.open(compared.page.url(), { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true })
  await phone.reaches('failed', 'sim:fail')
  await check(phone, 'phone', problems)
  await phone.answer('sim:fail').getByTestId('inspect').tap()
  await phone.page.getByTestId('wire-read').waitFor()
  await check(phone, 'events of before, on a phone', problems)
  await fetch(`${stage.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({
      session: new URL(page.page.url()).searchParams.get('session'),
      query: '{"a":[1,"b",null]}',
      model: 'sim:echo?tps=0',
      params: { responseFormat: { type: 'json' } },
    }),
  })
  await page.page.locator('pre [data-kind="attr"]').waitFor()
  await check(page, 'JSON', problems)
  const missing = await stage.open('/?session=never-begun')
  await missing.page.getByTestId('missing').waitFor()
  await check(missing, 'missing', problems)
  expect(problems).toEqual([])
})

test('the way in', async () => {
  const problems: string[] = []
  await using stage = await startStage({ access: { tokens: { secret: 'a secret of a test, which has 32 bytes' } } })
  const page = await stage.open()
  await page.page.getByTestId('token').fill('none')
  await page.page.getByTestId('token').press('Enter')
  await page.page.getByTestId('sign-in-problem').waitFor()
  await check(page, 'sign-in', problems)
  expect(problems).toEqual([])
})
