/** The quick starts of the client's README are the pages of the examples; each is opened in a browser and asked. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { launchChromium } from '@millrace/conformance'
import { describe, expect, it, onTestFinished } from 'vitest'

const pages = new URL('../src/pages/', import.meta.url)
const readme = readFileSync(new URL('../../packages/client/README.md', import.meta.url), 'utf8')

async function serve(framework: string): Promise<string> {
  const child = spawn(process.execPath, ['--conditions=source', fileURLToPath(new URL('serve.ts', pages)), framework], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), once(child, 'exit')])
  if (typeof line !== 'string') throw new Error(`The page of ${framework} ended with ${line}.`)
  return line
}

describe.each([
  ['plain', 'main.js'],
  ['react', 'app.jsx'],
  ['vue', 'app.vue'],
  ['svelte', 'app.svelte'],
  ['solid', 'app.js'],
])('the page of %s', (framework, file) => {
  it('answers in a browser, and goes on with the next question', async () => {
    const browser = await launchChromium()
    onTestFinished(() => browser.close())
    const page = await browser.newPage()
    await page.goto(await serve(framework))
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

  it.skipIf(framework === 'solid')('is in the README', () => {
    expect(readme).toContain(`\n${readFileSync(new URL(`${framework}/${file}`, pages), 'utf8')}\`\`\``)
  })
})
