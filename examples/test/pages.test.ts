/** The quick starts of the client's README are the pages of the examples; each is opened in a browser and asked. */
import { readFileSync } from 'node:fs'
import { connect } from '@millrace/client'
import { launchChromium } from '@millrace/suites'
import { describe, expect, it, onTestFinished } from 'vitest'
import { pages, servePage } from './support/pages.ts'

const readme = readFileSync(new URL('../../packages/client/README.md', import.meta.url), 'utf8')

describe.each(['plain', 'react', 'vue', 'svelte', 'solid'])('the page of %s', (framework) => {
  it('answers in a browser, and goes on with the next question', async () => {
    const page = await (await launchChromium()).newPage()
    await page.goto(await servePage(framework))
    await page.locator('input').fill('one')
    await page.locator('input').press('Enter')
    await page.getByText('1 2 3 4 5').waitFor()
    await page.locator('input').fill('two')
    await page.locator('input').press('Enter')
    await page
      .getByText('1 2 3 4 5')
      .nth(framework === 'plain' ? 0 : 1)
      .waitFor()
    if (framework === 'plain') await page.getByText('5 1 2 3 4 5').waitFor()
    else expect(await page.locator('p').allTextContents()).toEqual([expect.stringMatching('one: 1 2 3 4 5 '), 'two: 1 2 3 4 5 '])
  })
})

it.each(['plain/main.js', 'react/app.jsx', 'vue/app.vue', 'svelte/app.svelte'])('%s is in the README', (file) => {
  expect(readme).toContain(`\n${readFileSync(new URL(file, pages), 'utf8')}\`\`\``)
})

describe.each(['ai-sdk', 'assistant-ui'])('the page of %s', (library) => {
  it('shows an answer as it grows, and stops it on the server', async () => {
    const page = await (await launchChromium()).newPage()
    const url = await servePage(library, { MODEL: 'sim:count?n=1000&tps=30' })
    await page.goto(url)
    const field = page.getByRole('textbox')
    await field.fill('count')
    await field.press('Enter')
    await page.getByText('1 2 3 4 5').waitFor()
    await page.getByText('count', { exact: false }).first().waitFor()
    // By the keyboard: the answer moves the button while it grows.
    await page.getByText('Stop').press('Enter')
    const client = connect(url)
    onTestFinished(() => client.close())
    const runs = async () => {
      const [session] = (await client.sessions.list()).sessions
      return (await client.session(session?.id).read()).runs
    }
    await expect.poll(async () => (await runs()).map(({ status }) => status)).toEqual(['stopped'])
  })
})

const dot = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

describe('the page of assistant-ui', () => {
  async function open(model: string) {
    const page = await (await launchChromium()).newPage()
    await page.goto(await servePage('assistant-ui', { MODEL: model }))
    const field = page.getByRole('textbox')
    await field.fill('weather')
    await field.press('Enter')
    return page
  }

  it('lets somebody approve and reject a call', async () => {
    const page = await open('sim:tool?tps=0&approve=1')
    await page.getByText('Allow').click()
    await page.getByText('The weather says:').waitFor()
    await page.getByText('Again').click()
    await page.getByText('Reject').click()
    await page.getByText('The weather says: No.').waitFor()
  })

  it('sends the result of a call that it executes', async () => {
    const page = await open('sim:tool?tps=0&client=1')
    await page.getByText('Answer').click()
    await page.getByText('The weather says: {"celsius":3}.').waitFor()
  })

  it('asks with files, which are shown with the question and reach the model', async () => {
    const page = await (await launchChromium()).newPage()
    const url = await servePage('assistant-ui', { MODEL: 'sim:echo?tps=0&show=messages' })
    await page.goto(url)
    const attach = async (name: string, mimeType: string, bytes: string | Buffer) => {
      const choosing = page.waitForEvent('filechooser')
      await page.getByText('Attach').click()
      await (await choosing).setFiles({ name, mimeType, buffer: Buffer.from(bytes) })
      await page.getByText(`File: ${name}`).waitFor()
    }
    await attach('notes.txt', 'text/plain', 'The river rises.')
    await attach('dot.png', 'image/png', dot)
    const field = page.getByRole('textbox')
    await field.fill('what is in them?')
    await field.press('Enter')
    await page.getByText('"mediaType":"text/plain"', { exact: false }).waitFor()
    expect(await page.getByText('File: ').allTextContents()).toEqual(['File: notes.txt', 'File: dot.png'])
    const client = connect(url)
    onTestFinished(() => client.close())
    const [listed] = (await client.sessions.list()).sessions
    const { runs } = await client.session(listed?.id).read()
    expect(runs[0]?.messages?.[0]?.content).toMatchObject([
      { type: 'text', text: 'what is in them?' },
      { type: 'file', mediaType: 'text/plain', name: 'notes.txt', size: 16 },
      { type: 'file', mediaType: 'image/png', name: 'dot.png', size: dot.length },
    ])
  })

  it('shows the branches of a question that was asked again', async () => {
    const page = await open('sim:echo?tps=0&show=request')
    await page.getByText('"messages"', { exact: false }).waitFor()
    await page.getByText('Again').click()
    await page.getByText('2/2').waitFor()
    await page.getByText('Before').click()
    await page.getByText('1/2').waitFor()
    await page.getByText('"messages"', { exact: false }).waitFor()
    await page.getByText('weather', { exact: true }).waitFor()
    await page.getByText('After').click()
    await page.getByText('2/2').waitFor()
  })
})
