/** The programs of the guides to AG-UI, TanStack AI and Anthropic's client, as they are. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

const run = promisify(execFile)
const cwd = fileURLToPath(new URL('..', import.meta.url))

function program(guide: string): string {
  const text = readFileSync(new URL(`../../docs/guides/${guide}.md`, import.meta.url), 'utf8')
  return /^```js\n(.*?)^```$/ms.exec(text)?.[1] ?? ''
}

it.each(['ag-ui', 'tanstack', 'anthropic'] as const)(
  '%s prints the answer, in both languages by the same program',
  async (name) => {
    expect(program(`${name}.zh-CN`)).toBe(program(name))
    const millrace = createMillrace({ model: 'sim:count?n=5', dialects: [name] })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    const text = program(name).replaceAll('http://127.0.0.1:4600', url)
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', text], { cwd })
    expect(stdout).toContain('1 2 3 4 5 ')
  },
)
