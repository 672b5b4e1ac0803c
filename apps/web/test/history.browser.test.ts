/** The list of conversations: searched, opened, renamed, exported, and deleted. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makeFolder } from '@millrace/suites'
import { createMillrace, type Engine, MillraceError, memoryEngine, sqliteEngine } from 'millrace'
import type { Locator } from 'playwright-core'
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

const rows = ({ page }: Driver): Locator => page.getByTestId('history-row')
const titles = async (page: Driver): Promise<string[]> =>
  (await rows(page).getByRole('link').allTextContents()).filter((text) => text !== 'Untitled')

async function askNew(page: Driver, query: string): Promise<string> {
  await page.page.getByTestId('new-session').click()
  await page.ask(query)
  await page.reaches('completed')
  return page.page.url()
}

async function act(page: Driver, title: string, ...actions: readonly string[]): Promise<void> {
  await rows(page).filter({ hasText: title }).getByTestId('history-more').click()
  for (const action of actions) await page.page.getByTestId(`history-${action}`).click()
}

test('is there again after a reload, opens one, and goes on in it', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const page = await stage.open()
  await page.page.getByTestId('history-toggle').click()
  await page.page.getByText('What you ask will be listed here.').waitFor()
  const first = await askNew(page, 'the first')
  await askNew(page, 'the second')
  await rows(page).filter({ hasText: 'the second' }).waitFor()
  await page.page.reload()
  await rows(page).nth(1).waitFor()
  expect(await titles(page)).toEqual(['the second', 'the first'])
  expect(await page.page.locator('[aria-current="page"]').textContent()).toBe('the second')
  await page.page.getByRole('link', { name: 'the first' }).click()
  await page.page.getByRole('heading', { name: 'the first' }).waitFor()
  expect(page.page.url()).toBe(first)
  await page.ask('once more')
  await expect.poll(() => titles(page)).toEqual(['the first', 'the second'])
  await page.page.goBack()
  await page.page.getByRole('heading', { name: 'the second' }).waitFor()
})

test('is rendered for what changes in it and not for each word of an answer, and so is the composer', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  await page.page.getByTestId('history-toggle').click()
  model.say('word')
  await page.ask('listed')
  await page.textWith('word')
  await rows(page).filter({ hasText: 'listed' }).waitFor()
  // Each rendering of the list finds out which day it is, and after each of the composer React compares its text.
  await page.composer.evaluate((field) => {
    const rendered = new Set<string>()
    Object.assign(window, { rendered })
    const value = Object.getOwnPropertyDescriptor(field, 'value') as PropertyDescriptor
    Object.defineProperty(field, 'value', {
      ...value,
      get() {
        rendered.add('composer')
        return value.get?.call(field)
      },
    })
    const { setHours } = Date.prototype
    Date.prototype.setHours = function (...args: Parameters<typeof setHours>) {
      rendered.add('list')
      return setHours.apply(this, args)
    }
  })
  for (let word = 1; word <= 5; word++) {
    model.say(` ${word}`)
    await page.textWith(` ${word}`)
  }
  const rendered = () => page.page.evaluate(() => [...(window as unknown as { rendered: Set<string> }).rendered])
  expect(await rendered()).toEqual([])
  model.end()
  await page.reaches('completed')
  await expect.poll(async () => (await rendered()).sort()).toEqual(['composer', 'list'])
})

test('renames with Enter and not with Escape, for every tab', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const page = await stage.open()
  await page.page.getByTestId('history-toggle').click()
  await askNew(page, 'counting')
  const field = page.page.getByTestId('history-title')
  await act(page, 'counting', 'rename')
  await field.fill('another')
  await field.press('Escape')
  expect(await titles(page)).toEqual(['counting'])
  await act(page, 'counting', 'rename')
  await field.fill('  数数  ')
  // Both belong to the input method: in Chromium's order of events, and in Safari's.
  await field.evaluate((element) => {
    const key = { bubbles: true, cancelable: true, keyCode: 229 }
    element.dispatchEvent(new KeyboardEvent('keydown', { ...key, key: 'Escape', isComposing: true }))
    element.dispatchEvent(new KeyboardEvent('keydown', { ...key, key: 'Escape' }))
  })
  expect(await field.inputValue()).toBe('  数数  ')
  await field.press('Enter')
  await rows(page).filter({ hasText: '数数' }).waitFor()
  const isFocused = () => page.page.getByTestId('history-more').evaluate((button) => button === document.activeElement)
  await expect.poll(isFocused).toBe(true)
  const tab = await stage.open()
  await tab.page.getByTestId('history-toggle').click()
  await rows(tab).filter({ hasText: '数数' }).waitFor()
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await act(page, '数数', 'rename')
  await field.fill('lost')
  await field.press('Enter')
  await page.page.getByText('nothing was changed').waitFor()
})

test('exports what was said as a file', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const page = await stage.open()
  await page.page.getByTestId('history-toggle').click()
  await askNew(page, 'count to three')
  for (const [format, ending] of [
    ['markdown', '.md'],
    ['json', '.json'],
  ] as const) {
    const downloading = page.page.waitForEvent('download')
    await act(page, 'count to three', format)
    const download = await downloading
    expect(download.suggestedFilename()).toMatch(new RegExp(`^[\\w-]+\\${ending}$`))
    const text = readFileSync(await download.path(), 'utf8')
    expect(text).toContain('count to three')
    expect(text).toContain('1 2 3')
    await rows(page).getByTestId('history-more').click()
  }
})

test('deletes only when it is confirmed, and then everywhere', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const page = await stage.open()
  await page.page.getByTestId('history-toggle').click()
  const address = await askNew(page, 'to be forgotten')
  const tab = await stage.open(address.slice(stage.url.length))
  await tab.page.getByRole('heading', { name: 'to be forgotten' }).waitFor()
  await act(page, 'to be forgotten', 'delete')
  await page.page.keyboard.press('Enter')
  expect(await titles(page)).toEqual(['to be forgotten'])
  await act(page, 'to be forgotten', 'delete', 'confirm')
  await page.page.getByText('What you ask will be listed here.').waitFor()
  expect(new URL(page.page.url()).search).toBe('')
  expect(await page.page.locator('article').count()).toBe(0)
  await tab.isConnected('lost')
  await tab.page.reload()
  await tab.page.getByTestId('missing').waitFor()
  const { status } = await fetch(`${stage.url}/api/sessions/${new URL(address).searchParams.get('session')}`)
  expect(status).toBe(404)
})

test('says of a conversation that it is damaged, and lets it be deleted', async () => {
  const folder = makeFolder()
  const before = createMillrace({ engine: sqliteEngine({ folder }), model: 'sim:echo?tps=0' })
  const { session, ended } = await before.ask({ query: 'what is this?' })
  await ended
  await before.close()
  const database = new DatabaseSync(join(folder, 'millrace.db'))
  database.prepare('UPDATE logs SET head = head + 1 WHERE name = ?').run(session)
  database.close()
  await using stage = await startStage({ engine: sqliteEngine({ folder }), onError: () => {} })
  const { page } = await stage.open(`/?session=${session}`)
  await page.getByTestId('damaged').waitFor()
  await page.getByTestId('history-toggle').click()
  await page.getByRole('link', { name: 'Untitled' }).waitFor()
  await page.getByTestId('history-more').click()
  await page.getByTestId('history-delete').click()
  await page.getByTestId('history-confirm').click()
  await page.getByText('What you ask will be listed here.').waitFor()
  expect((await fetch(`${stage.url}/api/sessions/${session}`)).status).toBe(404)
})

test('begins another conversation where the one that is shown turns out to be damaged', async () => {
  const engine = memoryEngine()
  let damaged = ''
  const check = (log: string) => {
    if (log === damaged) throw new MillraceError('log_damaged')
  }
  const failing: Engine = {
    ...engine,
    async read(log, ...rest) {
      check(log)
      return engine.read(log, ...rest)
    },
    async inspect(log) {
      check(log)
      return engine.inspect(log)
    },
  }
  await using stage = await startStage({ engine: failing, model: 'sim:count?n=3&tps=0', onError: () => {} })
  const page = await stage.open()
  await page.chooseModels('sim:hang')
  await page.ask('what stays')
  await page.reaches('streaming')
  const shown = new URL(page.page.url()).searchParams.get('session')
  damaged = shown ?? ''
  stage.proxy.cut()
  await page.isConnected('lost')
  await page.page.getByRole('heading', { name: 'what stays' }).waitFor()
  await page.chooseModels('sim:count?n=3&tps=0')
  await page.ask('what is new')
  await page.reaches('completed')
  expect(new URL(page.page.url()).searchParams.get('session')).not.toBe(shown)
})

test('says that it could not be read, and reads when it is asked again', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const page = await stage.open()
  await askNew(page, 'found')
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await page.page.getByTestId('history-toggle').click()
  await page.page.getByText('The list could not be read.').waitFor()
  stage.proxy.refuse(false)
  await page.page.getByTestId('history').getByRole('button', { name: 'Retry' }).click()
  await rows(page).filter({ hasText: 'found' }).waitFor()
})

test('lies over the page on a phone, ends with Escape, and goes away with a choice', async () => {
  await using stage = await startStage({ model: 'sim:count?n=3&tps=0' })
  const page = await stage.open('/', { viewport: { width: 375, height: 700 } })
  await askNew(page, 'the first')
  const panel = page.page.getByTestId('history')
  await page.page.getByTestId('history-toggle').click()
  await panel.waitFor()
  await page.page.keyboard.press('Escape')
  await panel.waitFor({ state: 'detached' })
  await askNew(page, 'the second')
  await page.page.getByTestId('history-toggle').click()
  await page.page.getByRole('link', { name: 'the first' }).click()
  await panel.waitFor({ state: 'detached' })
  await page.page.getByRole('heading', { name: 'the first' }).waitFor()
})
