/** Files in an answer: a picture is seen, anything else is saved, and nothing of a stranger's runs. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { openGated } from './support/gated-stage.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()

test('a picture stands in the answer while it is written, and after a reload', async () => {
  await using stage = await startStage({ model: 'sim:file?after=3&tps=0' })
  const page = await stage.open()
  const picture = page.answer().getByRole('img', { name: 'wheel.png' })
  const width = () => picture.evaluate((image) => (image as HTMLImageElement).naturalWidth)
  await page.page.evaluate(() => {
    const { revokeObjectURL } = URL
    const revoked: string[] = []
    Object.assign(window, { revoked })
    URL.revokeObjectURL = (url) => {
      revoked.push(url)
      revokeObjectURL(url)
    }
  })
  await page.ask('go')
  await page.reaches('completed')
  // It is where it came in the answer.
  const text = page.answer().getByTestId('answer-text')
  expect((await text.allTextContents()).map((part) => part.trim())).toEqual(['1 2 3', '4 5 6'])
  await expect.poll(width).toBe(64)
  const address = await picture.getAttribute('src')
  // Another conversation: the files of this one are released.
  await page.page.getByRole('button', { name: 'New conversation' }).first().click()
  await expect.poll(() => page.page.evaluate(() => (window as unknown as { revoked: string[] }).revoked)).toEqual([address])
  await page.page.goBack()
  await expect.poll(width).toBe(64)
  await page.page.reload()
  await expect.poll(width).toBe(64)
})

test('a picture whose bytes did not arrive is asked for again', async () => {
  await using stage = await startStage({ model: 'sim:file?after=3&tps=0' })
  const page = await stage.open()
  await page.ask('go')
  await page.reaches('completed')
  let cuts = 1
  await page.page.route(/api\/files\//, (route) => (cuts-- > 0 ? route.abort() : route.continue()))
  await page.page.reload()
  const picture = page.answer().getByRole('img', { name: 'wheel.png' })
  await picture.waitFor()
  await expect.poll(() => picture.evaluate((image) => (image as HTMLImageElement).naturalWidth)).toBe(64)
  expect(cuts).toBeLessThan(0)
})

test('what a browser might run is saved as it is, under its name, and a broken picture too', async () => {
  await using gated = await openGated(startStage)
  const { model, page } = gated
  await page.page.addInitScript(() => {
    const { createObjectURL } = URL
    const types: string[] = []
    Object.assign(window, { types })
    URL.createObjectURL = (blob: Blob) => {
      types.push(blob.type)
      return createObjectURL(blob)
    }
  })
  await page.page.reload()
  const script = '<script>document.title = "owned"</script>'
  model.say({ file: { mediaType: 'text/html', name: '说明.html', bytes: Buffer.from(script) } })
  model.say({ file: { mediaType: 'image/png', bytes: new Uint8Array(2500) } })
  model.end()
  await page.ask('go')
  await page.reaches('completed')
  const chips = page.answer().getByTestId('file')
  for (let isReloaded = false; ; isReloaded = true) {
    await expect.poll(() => chips.allTextContents()).toEqual(['Save说明.html41 B', 'SaveFile2.5 kB'])
    await expect.poll(() => chips.first().getAttribute('href')).toContain('blob:')
    const saving = page.page.waitForEvent('download')
    await chips.first().click()
    const saved = await saving
    expect(saved.suggestedFilename()).toBe('说明.html')
    expect(await readFile(await saved.path(), 'utf8')).toBe(script)
    // Opened in a tab of its own it would be of the page's origin.
    expect(await page.page.evaluate(() => (window as unknown as { types: string[] }).types)).not.toContain('text/html')
    if (isReloaded) break
    await page.page.reload()
  }
})
