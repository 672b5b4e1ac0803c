/** The programs of docs/guides/openai.md, as they are. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

const run = promisify(execFile)
const cwd = fileURLToPath(new URL('..', import.meta.url))
const guide = (language = '') => readFileSync(new URL(`../../docs/guides/openai${language}.md`, import.meta.url), 'utf8')

function program(language: string, text = guide()): string {
  return new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(text)?.[1] ?? ''
}

async function start(): Promise<string> {
  const millrace = createMillrace({ model: 'sim:count?n=5', dialects: ['openai'] })
  onTestFinished(() => millrace.close())
  return (await millrace.listen({ port: 0 })).url
}

it('curl streams a chat completion', async () => {
  const url = await start()
  const { stdout } = await run('sh', ['-c', program('sh').replace('http://127.0.0.1:4600', url)])
  const said = [...stdout.matchAll(/"content":"([^"]*)"/g)].map(([, text]) => text)
  expect(said.join('')).toBe('1 2 3 4 5 ')
  expect(stdout).toMatch(/^data: \[DONE\]$/m)
})

it('OpenAI reads a response to its end, over two connections', async () => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program('js'), '--', 'program', await start()], {
    cwd,
  })
  expect(stdout).toBe('1 2 3 4 5 ')
})

it('both languages have the same programs', () => {
  const withoutComments = (text: string) => text.replaceAll(/ \/\/ .*/g, '')
  for (const language of ['sh', 'js'])
    expect(withoutComments(program(language, guide('.zh-CN')))).toBe(withoutComments(program(language)))
})
