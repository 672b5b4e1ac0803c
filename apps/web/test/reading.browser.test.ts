/** Reading while it is written: the scroll position, the selection, a hidden tab, a screen reader, and unsafe text. */
import type { Locator } from 'playwright-core'
import { expect, test } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'
import { swipe } from './support/swipe.ts'

const startStage = prepareStage()
const paragraphs = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `Paragraph ${from + index} of an answer.\n\n`).join('')

/** How far it is scrolled once it is still: wheels, keys and fingers scroll on for some frames. */
function topAtRest(scroller: Locator): Promise<number> {
  return scroller.evaluate(async (element) => {
    for (let still = 0, last = NaN; still < 10; still = element.scrollTop === last ? still + 1 : 0) {
      last = element.scrollTop
      await new Promise((resolve) => requestAnimationFrame(resolve))
    }
    return Math.round(element.scrollTop)
  })
}

async function startGated() {
  const gated = await openGated(startStage)
  const scroller = gated.page.page.getByTestId('scroller')
  const top = () => scroller.evaluate((element) => Math.round(element.scrollTop))
  const belowEnd = () => scroller.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop)
  return { ...gated, scroller, top, belowEnd }
}

test('it follows the end, stops when the reader scrolls up, and returns by the button', async () => {
  await using gated = await startGated()
  const { model, page, top, belowEnd } = gated
  model.say(paragraphs(1, 40))
  await page.ask('long')
  await page.textWith('Paragraph 40 ')
  await expect.poll(belowEnd).toBeLessThan(2)
  // A burst of many lines at once must not count as the reader's scrolling.
  model.say(paragraphs(41, 90))
  await page.textWith('Paragraph 90 ')
  await expect.poll(belowEnd).toBeLessThan(2)

  await gated.scroller.hover()
  await page.page.mouse.wheel(0, -400)
  await page.page.locator('[data-testid="scroller"][data-pinned="false"]').waitFor()
  await expect.poll(belowEnd).toBeGreaterThan(300)
  const before = await topAtRest(gated.scroller)
  model.say(paragraphs(91, 120))
  await page.textWith('Paragraph 120 ')
  expect(await top()).toBe(before)
  await page.page.getByTestId('jump').click()
  await expect.poll(belowEnd).toBeLessThan(2)
  model.say(paragraphs(121, 140))
  await page.textWith('Paragraph 140 ')
  await expect.poll(belowEnd).toBeLessThan(2)
})

test.each(['keys', 'scrollbar', 'touch', 'selection', 'focus'])('it yields to a reader who goes elsewhere by %s', async (way) => {
  const model = gatedModel('test:gated')
  await using stage = await startStage({ models: { 'test:gated': model }, model: 'test:gated' })
  const { page, ...driver } = await stage.open('/', { hasTouch: way === 'touch' })
  const scroller = page.getByTestId('scroller')
  const top = () => scroller.evaluate((element) => Math.round(element.scrollTop))
  const pinned = (isPinned: boolean) => page.locator(`[data-testid="scroller"][data-pinned="${isPinned}"]`).waitFor()
  for (const [index, question] of ['first', 'second'].entries()) {
    model.say(paragraphs(1, 40))
    if (index === 0) model.end()
    // Where there is a touch screen, Enter makes a line.
    await driver.composer.fill(question)
    await driver.send.click()
    await driver.textWith('Paragraph 40 ')
  }
  await pinned(true)
  const box = await scroller.boundingBox()
  const [x, y] = [(box?.width ?? 0) / 2, 300]
  const ways: Record<string, () => Promise<unknown>> = {
    async keys() {
      await page.mouse.click(x, y)
      await page.keyboard.press('PageUp')
    },
    // Chromium has no scrollbar without a screen; dragging one is a scroll without a wheel, a key or a finger.
    scrollbar: () => scroller.evaluate((element) => element.scrollBy(0, -400)),
    touch: () => swipe(page, { x, y }, { x, y: y + 200 }),
    selection: () => driver.answer().getByText('Paragraph 38 ').click({ clickCount: 3 }),
    focus: () => page.getByTestId('edit').first().focus(),
  }
  await ways[way]?.()
  await pinned(false)
  const before = await topAtRest(scroller)
  model.say(paragraphs(41, 60))
  model.end()
  await driver.reaches('completed')
  expect(await top()).toBe(before)
  await page.getByTestId('jump').click()
  await pinned(true)
})

test('a question goes to the top and its answer fills the room below it', async () => {
  await using gated = await startGated()
  const { model, page, top } = gated
  model.say(paragraphs(1, 40))
  model.end()
  await page.ask('first')
  await page.reaches('completed')
  model.say('short')
  await page.ask('second')
  await page.textWith('short')
  const question = page.page.locator('article h2').last()
  await expect.poll(async () => (await question.boundingBox())?.y).toBeLessThan(140)
  const before = await topAtRest(gated.scroller)
  model.say(' and a little longer')
  await page.textWith('longer')
  expect(await top()).toBe(before)
})

test('a reader who has scrolled up and asks sees the question', async () => {
  await using gated = await startGated()
  const { model, page, top } = gated
  for (const question of ['first', 'second']) {
    model.say(paragraphs(1, 60))
    model.end()
    await page.ask(question)
    await page.page.locator(`article:has-text("${question}")[data-status="completed"]`).waitFor()
  }
  await gated.scroller.hover()
  await page.page.mouse.wheel(0, -100_000)
  await expect.poll(top).toBe(0)
  model.say('short')
  await page.ask('third')
  await page.textWith('short')
  const y = async () => (await page.page.locator('article h2').last().boundingBox())?.y
  await expect.poll(y).toBeLessThan(140)
  expect(await y()).toBeGreaterThan(0)
})

test('a selection in the answer stays while more arrives, also at its end', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  model.say('select these words')
  await page.ask('go')
  await page.textWith('words')
  await page.page.getByText('select these words').click({ clickCount: 3 })
  const selected = () => page.page.evaluate(() => document.getSelection()?.toString().trim())
  expect(await selected()).toBe('select these words')
  model.say(' and those')
  model.end()
  await page.reaches('completed')
  expect(await selected()).toBe('select these words')
  await page.page.evaluate(() => document.getSelection()?.removeAllRanges())
  expect(await page.textWith('those')).toBe('select these words and those')
})

// Nothing really hides a tab in headless Chromium: behind another one that was brought to the front, and also when it is
// frozen by its lifecycle, it stays visible and paints. Here and below it gets the events of a hidden tab.
test('a hidden tab, which paints no frames, goes on reading', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  model.say('seen ')
  await page.ask('go')
  await page.textWith('seen')
  await page.page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { get: () => true })
    window.requestAnimationFrame = () => 0
    document.dispatchEvent(new Event('visibilitychange'))
  })
  model.say('and unseen')
  model.end()
  await expect.poll(() => page.answer().textContent()).toContain('seen and unseen')
})

test('a tab that is hidden for long closes its connection after the answer has ended, and misses nothing', async () => {
  await using gated = await startGated()
  const { model, page, stage } = gated
  await page.page.clock.install()
  await page.page.reload()
  const show = (isHidden: boolean) =>
    page.page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })
      document.dispatchEvent(new Event('visibilitychange'))
    }, isHidden)
  model.say('one ')
  await page.ask('go')
  await page.textWith('one')
  await show(true)
  await page.page.clock.runFor(31_000)
  await expect.poll(() => stage.streams).toBe(1)
  model.end()
  await page.reaches('completed')
  await page.page.clock.runFor(31_000)
  // A way up is kept for a while that nobody needs any more.
  await page.page.clock.runFor(31_000)
  await expect.poll(() => stage.streams).toBe(0)

  // Meanwhile somebody else asks in the same conversation.
  const other = await stage.open(page.page.url())
  model.say('two')
  model.end()
  await other.ask('and you?')
  await other.reaches('completed')
  await show(false)
  expect(await page.textWith('two')).toBe('two')
  await page.isConnected('live')
})

test('a screen reader announces the state of the answer, not every word', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  await page.page.evaluate(() => {
    const heard: string[] = []
    Object.assign(window, { heard })
    const listen = () => {
      for (const element of document.querySelectorAll('[role=status], [role=alert], [aria-live]:not([aria-live=off])'))
        if (element.textContent !== '' && heard.at(-1) !== element.textContent) heard.push(element.textContent)
    }
    new MutationObserver(listen).observe(document.body, { subtree: true, childList: true, characterData: true })
  })
  await page.ask('go')
  for (let word = 1; word <= 20; word++) model.say(`${word} `)
  await page.textWith('20')
  model.end()
  await page.reaches('completed')
  await page.page.getByTestId('announcer').filter({ hasText: 'ready' }).waitFor()
  expect(await page.page.evaluate(() => (window as unknown as { heard: string[] }).heard)).toEqual([
    'Generating an answer',
    'The answer is ready',
  ])
})

test('text of a model is never markup, and its links lead nowhere dangerous', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  model.say(
    '<img src=x onerror="document.title=\'owned\'"> <script>1</script>\n\n[a](javascript:alert(1)) ![b](https://stranger.invalid/pixel.png)\n\n**注意：**done',
  )
  model.end()
  const requests: string[] = []
  page.page.on('request', (request) => requests.push(request.url()))
  await page.ask('go')
  await page.reaches('completed')
  const text = page.answer().getByTestId('answer-text')
  expect(await text.textContent()).toContain('<img src=x')
  expect(await text.locator('img, script').count()).toBe(0)
  expect(await text.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href')))).toEqual([
    'https://stranger.invalid/pixel.png',
  ])
  expect(await text.locator('a').first().getAttribute('rel')).toContain('noopener')
  expect(await text.locator('strong').textContent()).toBe('注意：')
  expect(requests.filter((url) => !url.startsWith(gated.stage.url))).toEqual([])
})

test('a page without questions begins at its top where it is higher than the screen', async () => {
  await using stage = await startStage()
  const { page } = await stage.open('/', { viewport: { width: 390, height: 600 } })
  await page.locator('[data-suggestion]').last().waitFor()
  // Sizes are observed, and followed, within a frame.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  const { scrollTop, overflow } = await page.getByTestId('scroller').evaluate((element) => ({
    scrollTop: element.scrollTop,
    overflow: element.scrollHeight - element.clientHeight,
  }))
  expect(overflow).toBeGreaterThan(0)
  expect(scrollTop).toBe(0)
})

test('thoughts fold when the answer begins, say how long they took, and stay as the reader puts them', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  const thoughts = page.answer().locator('details')
  const isOpen = () => thoughts.evaluate((element) => (element as HTMLDetailsElement).open)
  model.say({ reasoning: 'Let me think. ' })
  await page.ask('go')
  await page.answer().getByText('Let me think.').waitFor()
  expect(await isOpen()).toBe(true)
  model.say('The answer.')
  await page.textWith('The answer.')
  await expect.poll(isOpen).toBe(false)
  await thoughts.locator('summary').click()
  model.end()
  await page.reaches('completed')
  expect(await isOpen()).toBe(true)
  const label = await thoughts.locator('summary').textContent()
  expect(label).toMatch(/^Thought for [\d.,]+ m?s$/)
  await page.page.reload()
  await page.textWith('The answer.')
  // Measured by the server, and not by this page.
  expect(await thoughts.locator('summary').textContent()).toBe(label)
})

test('an answer says when its first word came, and how long all of it took, also after a reload', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  await page.ask('go')
  await page.reaches('streaming')
  model.say('a word')
  await page.textWith('a word')
  model.end()
  await page.reaches('completed')
  const measured = () => page.answer().getByTitle('Measured by the server').allTextContents()
  const before = await measured()
  expect(before).toContainEqual(expect.stringMatching(/^first word [\d.,]+ m?s$/))
  expect(before).toContainEqual(expect.stringMatching(/^[\d.,]+ m?s in all$/))
  await page.page.reload()
  await page.reaches('completed')
  expect(await measured()).toEqual(before)
})

test('nothing moves for a reader who asked the system for stillness', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  const moving = () => page.page.evaluate(() => document.getAnimations().length)
  model.say({ reasoning: 'Hm.' })
  await page.ask('go')
  await page.answer().getByText('Hm.').waitFor()
  await expect.poll(moving).toBeGreaterThan(0)
  await page.page.emulateMedia({ reducedMotion: 'reduce' })
  await expect.poll(moving).toBe(0)
  model.end()
  await page.reaches('completed')
  await page.composer.focus()
  await page.page.getByTestId('history-toggle').hover()
  expect(await moving()).toBe(0)
})

test('code is coloured line by line, and no line loses its colours while more is written', async () => {
  await using gated = await startGated()
  const { model, page } = gated
  const code = page.answer().locator('pre code')
  const kinds = () =>
    code.evaluate((element) =>
      [...element.querySelectorAll('[data-kind]')].map((one) => `${one.textContent} ${one.getAttribute('data-kind')}`),
    )
  model.say('```ts\nconst a = 1\n')
  await page.ask('go')
  await expect.poll(kinds).toEqual(['const keyword', '1 number'])
  const copy = page.answer().getByRole('button', { name: 'Copy', exact: true })
  expect(await copy.isDisabled()).toBe(true)
  await code.evaluate((element) => {
    const seen: string[] = []
    Object.assign(window, { seen })
    const [first] = element.querySelectorAll('[data-kind]')
    new MutationObserver(() => seen.push(String(first?.isConnected))).observe(element, {
      subtree: true,
      childList: true,
      characterData: true,
    })
  })
  for (const line of ['/* a comment', ' that goes on\n', 'and ends */ const b = "x"\n']) {
    model.say(line)
    await code.getByText(line.trim().slice(0, 9)).first().waitFor()
  }
  await expect.poll(kinds).toContain('"x" string')
  expect(new Set(await page.page.evaluate(() => (window as unknown as { seen: string[] }).seen))).toEqual(new Set(['true']))
  model.say('```\n')
  model.end()
  await page.reaches('completed')
  expect((await kinds()).filter((kind) => kind.endsWith('comment'))).toHaveLength(2)
  expect(await copy.isDisabled()).toBe(false)
  await page.page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await copy.click()
  await copy.getByText('Copied').waitFor()
  const copied = await page.page.evaluate(() => navigator.clipboard.readText())
  expect(copied).toBe('const a = 1\n/* a comment that goes on\nand ends */ const b = "x"')
})
