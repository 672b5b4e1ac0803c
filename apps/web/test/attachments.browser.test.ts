/** Files with a question: chosen, pasted or dropped; on their way, refused, taken off, and seen again later. */
import { expect, test } from 'vitest'
import type { Driver } from './support/driver.ts'
import { prepareStage } from './support/stage.ts'

const startStage = prepareStage()
const model = 'sim:echo?show=messages&tps=0'
const attachment = ({ page }: Driver, state: string) => page.locator(`[data-testid="attachment"][data-state="${state}"]`)
const text = (name: string, content: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) })

test('a file that was chosen is uploaded before it is asked about, and stands with the question', async () => {
  await using stage = await startStage({ model })
  const page = await stage.open()
  await page.page.getByTestId('file-input').setInputFiles([text('说明.txt', 'hello'), text('b.txt', 'there')])
  await expect.poll(() => attachment(page, 'done').count()).toBe(2)
  await attachment(page, 'done').getByRole('button', { name: 'Remove b.txt' }).click()
  expect(await attachment(page, 'done').count()).toBe(1)
  await page.ask('what is in it?')
  await page.reaches('completed')
  const [message] = JSON.parse(await page.textWith('what is in it?'))
  expect(JSON.stringify(message)).toContain('说明.txt')
  for (let isReloaded = false; ; isReloaded = true) {
    await expect.poll(() => page.page.getByTestId('asked-file').allTextContents()).toEqual(['说明.txt5 B'])
    if (isReloaded) break
    expect(await page.page.getByTestId('attachment').count()).toBe(0)
    await page.page.reload()
  }
})

test('files are pasted and dropped, and text is still pasted as text', async () => {
  await using stage = await startStage({ model })
  const page = await stage.open()
  for (const type of ['paste', 'drop'])
    await page.composer.evaluate((field, name) => {
      const data = new DataTransfer()
      data.items.add(new File(['of a clipboard'], `${name}.txt`, { type: 'text/plain' }))
      const init = { bubbles: true, cancelable: true }
      field.dispatchEvent(
        name === 'paste'
          ? new ClipboardEvent('paste', { ...init, clipboardData: data })
          : new DragEvent('drop', { ...init, dataTransfer: data }),
      )
    }, type)
  await expect.poll(() => attachment(page, 'done').count()).toBe(2)
  expect(await page.page.getByTestId('attachment').allTextContents()).toEqual(['paste.txt14 B', 'drop.txt14 B'])
  await page.composer.focus()
  await page.page.keyboard.insertText('two files')
  await page.composer.press('Enter')
  await page.reaches('completed')
  expect(await page.page.getByTestId('asked-file').count()).toBe(2)
})

test('what the server refuses says why, keeps the question back, and can be taken off', async () => {
  await using stage = await startStage({ model })
  const page = await stage.open()
  await page.composer.fill('not without it')
  const png = { name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('no picture') }
  await page.page.getByTestId('file-input').setInputFiles(png)
  await attachment(page, 'failed').getByText('not of the type').waitFor()
  expect(await page.send.isDisabled()).toBe(true)
  await attachment(page, 'failed').getByRole('button').click()
  await page.send.click()
  await page.reaches('completed')
})

test('an upload shows how far it is, goes on after a cut, and belongs to one conversation', async () => {
  await using stage = await startStage({ model })
  const page = await stage.open()
  const large = { name: 'large.txt', mimeType: 'text/plain', buffer: Buffer.alloc(3_000_000, 'x') }
  stage.proxy.refuse(true)
  stage.proxy.cut()
  await page.page.getByTestId('file-input').setInputFiles(large)
  await attachment(page, 'uploading').getByText('Uploading, 0 %').waitFor()
  expect(await page.send.isDisabled()).toBe(true)
  stage.proxy.refuse(false)
  await attachment(page, 'done').waitFor()
  await page.ask('read')
  await page.reaches('completed')
  await page.page.getByTestId('file-input').setInputFiles(text('other.txt', 'x'))
  await attachment(page, 'done').waitFor()
  await page.page.getByTestId('new-session').click()
  await expect.poll(() => page.page.getByTestId('attachment').count()).toBe(0)
})
