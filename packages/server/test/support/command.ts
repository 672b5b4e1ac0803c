/** The command `millrace`, from its sources. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, onTestFinished } from 'vitest'

export const cli = fileURLToPath(new URL('../../src/cli/index.ts', import.meta.url))

/** For a server that does not start. */
const unused = mkdtempSync(join(tmpdir(), 'millrace-'))
afterAll(() => rmSync(unused, { recursive: true, force: true }))

/** The command, its output so far, and its exit. */
export function run(args: string[], env: Record<string, string> = {}, cwd?: string) {
  // Data is discarded unless a test is about it.
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(MILLRACE_.*|PORT|HOST)$/.test(name)))
  const child = spawn(process.execPath, ['--conditions=millrace-source', cli, ...args], {
    cwd,
    env: { ...inherited, MILLRACE_ENGINE: 'memory', MILLRACE_DATA: unused, ...env },
  })
  let output = ''
  let stdout = ''
  const changed: (() => void)[] = []
  child.stdout.on('data', (text) => {
    stdout += text
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
      for (const wake of changed.splice(0)) wake()
    })
  }
  const exited = once(child, 'close').then(([code]) => code as number)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(output)
      if (match !== null) return match
      const ended = await Promise.race([new Promise<undefined>((resolve) => changed.push(() => resolve(undefined))), exited])
      if (ended !== undefined) throw new Error(`ended with ${ended}: ${output}`)
    }
  }
  return { child, until, exited, output: () => output, stdout: () => stdout }
}
