/** Runs what the READMEs show: the shell lines, the example and the script for a browser. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { createMillrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { launchChromium } from '../src/index.ts'

const root = new URL('../../', import.meta.url)
const read = (file: string) => readFileSync(new URL(file, root), 'utf8')
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code = '']) => code)

async function startServer(): Promise<string> {
  const millrace = createMillrace({ model: 'sim:count?n=5&tps=0' })
  onTestFinished(() => millrace.close())
  return (await millrace.listen({ port: 0 })).url
}

describe.each(['README.md', 'README.zh-CN.md'])('%s', (file) => {
  const text = read(file)

  it('has at most 170 lines', () => {
    expect(text.split('\n').length).toBeLessThanOrEqual(170)
  })

  it('names the versions of other clients that are installed, and tests that use them', () => {
    const rows = text.split('\n').filter((line) => line.includes('.test.ts)'))
    expect(rows).toHaveLength(11)
    for (const row of rows) {
      const tests = [...row.matchAll(/\]\((\S+\.test\.ts)\)/g)].map(([, path = '']) => read(path))
      for (const [, name = '', version] of row.matchAll(/`([a-z@/-]+)` (\d+\.\d+\.\d+)/g)) {
        expect(JSON.parse(read(`node_modules/${name}/package.json`))).toMatchObject({ version })
        expect(tests.join('\n'), `${name} in the tests of its row`).toContain(name)
      }
    }
  })

  it('shows only commands that exist, and curl lines that stream', async () => {
    const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts)
    const lines = blocks(text, 'sh').flatMap((block) => block.trim().split('\n'))
    const url = await startServer()
    for (const line of lines) {
      const [, script] = /^(?:[A-Z_]+=\S+ )?npm (?:run )?(\w+)/.exec(line) ?? []
      if (script !== undefined) expect(scripts).toContain(script)
      else {
        const { stdout } = await promisify(execFile)('sh', ['-c', line.replace('http://127.0.0.1:4600', url)])
        expect(stdout).toMatch(/event: message\nid: .*\ndata: {"text":"1 "}[\s\S]*event: stream_end/)
      }
    }
    expect(lines.filter((line) => line.startsWith('curl'))).not.toHaveLength(0)
  })

  it('shows an example that is one of the tested examples', () => {
    const [example = ''] = blocks(text, 'ts')
    expect(read('examples/src/express.ts').startsWith(example)).toBe(true)
  })

  it('shows a script that streams into a page', async () => {
    const page = await (await launchChromium()).newPage()
    await page.goto(`${await startServer()}/healthz`)
    const [script = ''] = blocks(text, 'js')
    await page.evaluate(`const output = document.body; output.textContent = ''; ${script}`)
    await page.getByText('1 2 3 4 5').waitFor()
  })
})
