/** An answer that ended before its time says so, and goes on where it stopped when that is asked. */
import { expect, test } from 'vitest'
import { type Driver, drive, range, readNumbers } from './support/driver.ts'
import { type GatedModel, gatedModel } from './support/gated-model.ts'
import { startKillable } from './support/killable.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()
const goOn = ({ page }: Driver) => page.getByTestId('continue')

async function startGated(...names: string[]) {
  const models = Object.fromEntries(names.map((name) => [name, gatedModel(name)]))
  const stage = await startStage({ models, model: names[0] as string, limits: { runsPerNode: 1 }, onError: () => {} })
  return { stage, models: names.map((name) => models[name] as GatedModel) }
}

test('of a server that was killed: what was said stays, and the rest of it is asked for with one press', async () => {
  await using stage = await startStage()
  await using server = await startKillable(stage.page, 'sim:count?n=400&tps=50')
  stage.proxy.redirect(server.port)
  const page = await stage.open()
  await page.ask('count')
  await page.textWith('40 ')
  await server.kill()
  await server.start()

  await page.reaches('interrupted')
  const partial = readNumbers(await page.textWith('40 '))
  expect(partial).toEqual(range(1, partial.length))
  expect(partial.length).toBeLessThan(400)
  expect(await page.answer().getByText('Interrupted').count()).toBe(1)
  await page.page.reload()
  await page.reaches('interrupted')
  expect(readNumbers(await page.textWith('40 '))).toEqual(partial)
  await goOn(page).click()
  await page.reaches('streaming')
  // The same text grows; what had been said is never taken away to be said again.
  expect(readNumbers(await page.textWith(`${partial.length} `)).length).toBeGreaterThanOrEqual(partial.length)
  await page.reaches('completed')
  expect(readNumbers(await page.textWith('400'))).toEqual(range(1, 400))
  expect(await goOn(page).count()).toBe(0)

  await page.page.reload()
  await page.reaches('completed')
  expect(readNumbers(await page.textWith('400'))).toEqual(range(1, 400))
  expect([await page.page.locator('article').count(), await page.page.getByTestId('answer').count()]).toEqual([1, 1])
})

test('that was stopped: it goes on in every tab, can be stopped again, and later questions come after it', async () => {
  const { stage, models } = await startGated('test:gated')
  await using _ = stage
  const [model] = models as [GatedModel]
  const page = await stage.open()
  model.say('1 2 ')
  await page.ask('count')
  await page.textWith('2')
  const tab = drive(await page.page.context().newPage())
  await tab.page.goto(page.page.url())
  for (const [said, stopper] of [
    ['3 4 ', page],
    ['5 6', tab],
  ] as const) {
    await stopper.stop.click()
    for (const one of [page, tab]) await one.reaches('stopped')
    for (const one of [page, tab]) await goOn(one).and(one.page.locator(':enabled')).waitFor()
    // In both tabs at once: it goes on once.
    await Promise.all(
      [page, tab].map(({ page }) => page.evaluate(() => document.querySelector<HTMLElement>('[data-testid=continue]')?.click())),
    )
    for (const one of [page, tab]) await one.reaches('streaming')
    model.say(said)
    for (const one of [page, tab]) {
      await one.textWith(said.trim())
      expect(await one.page.getByTestId('error').count()).toBe(0)
    }
  }
  model.end()
  for (const one of [page, tab]) {
    await one.reaches('completed')
    expect(readNumbers(await one.textWith('6'))).toEqual(range(1, 6))
    expect(await one.page.locator('article').count()).toBe(1)
  }
  model.say('yes')
  model.end()
  await page.ask('and now?')
  await page.textWith('yes')
  expect(await page.page.getByTestId('answer-text').allTextContents()).toEqual(['1 2 3 4 5 6', 'yes'])
})

test('while the server cannot be reached: it goes on when it is back', async () => {
  const { stage, models } = await startGated('test:gated')
  await using _ = stage
  const [model] = models as [GatedModel]
  const page = await stage.open()
  model.say('first half ')
  await page.ask('one')
  await page.textWith('first half')
  await page.stop.click()
  await page.reaches('stopped')
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await goOn(page).click()
  await page.page.getByTestId('continue').and(page.page.locator(':disabled')).waitFor()
  model.say('second half')
  model.end()
  stage.proxy.refuse(false)
  await page.reaches('completed')
  expect(await page.textWith('second')).toBe('first half second half')
})

test('side by side: only what did not end well goes on, and not before all have ended', async () => {
  const { stage, models } = await startGated('test:whole', 'test:broken', 'test:slow')
  await using _ = stage
  const [whole, broken, slow] = models as [GatedModel, GatedModel, GatedModel]
  const page = await stage.open()
  await page.chooseModels('test:whole', 'test:broken', 'test:slow')
  whole.say('all of it')
  whole.end()
  broken.say('half ')
  slow.say('slow ')
  await page.ask('compare')
  await page.textWith('half', 'test:broken')
  await page.textWith('slow', 'test:slow')
  broken.fail(new Error('broken'))
  await page.reaches('failed', 'test:broken')
  expect(await goOn(page).count()).toBe(0)
  await page.stop.click()
  await page.reaches('stopped', 'test:slow')
  expect(await goOn(page).allTextContents()).toEqual(['Continue all', 'Continue all'])
  await goOn(page).first().click()
  for (const lane of ['test:broken', 'test:slow']) await page.reaches('streaming', lane)
  expect(await page.answer('test:whole').getAttribute('data-status')).toBe('completed')
  for (const [model, rest] of [
    [broken, 'mended'],
    [slow, 'and steady'],
  ] as const) {
    model.say(rest)
    model.end()
  }
  for (const [lane, text] of [
    ['test:whole', 'all of it'],
    ['test:broken', 'half mended'],
    ['test:slow', 'slow and steady'],
  ] as const) {
    await page.reaches('completed', lane)
    expect(await page.textWith(text, lane)).toBe(text)
  }
})
test('a rejected request shows its reason below the answer, and can be repeated', async () => {
  const { stage, models } = await startGated('test:gated', 'test:other')
  await using _ = stage
  const [model, other] = models as [GatedModel, GatedModel]
  const page = await stage.open('/', { locale: 'zh-CN' })
  model.say('一半')
  await page.ask('问')
  await page.textWith('一半')
  await page.stop.click()
  await page.reaches('stopped')
  // Somebody else takes all the room there is.
  const device = await stage.open()
  await device.chooseModels('test:other')
  await device.ask('wait')
  await device.reaches('streaming')
  expect(await goOn(page).textContent()).toBe('继续')
  await goOn(page).click()
  await page.answer().locator('[data-testid="error"][data-code="too_many_runs"]').waitFor()
  expect(await page.textWith('一半')).toBe('一半')
  other.end()
  await device.reaches('completed')
  model.say('，另一半')
  model.end()
  await goOn(page).click()
  await page.reaches('completed')
  expect(await page.textWith('另')).toBe('一半，另一半')
  expect(await page.page.getByTestId('error').count()).toBe(0)
})
