/** Runs a program under strace, which makes system calls fail or delays them. https://strace.io */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from './folder.ts'

/** Why strace cannot be used here; undefined if it can. */
export function straceMissing(): string | undefined {
  return spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0 ? undefined : 'strace cannot be used'
}

export interface Traced {
  /** The program's output, line by line. */
  readonly output: readonly string[]
  /** Its system calls in order, as strace writes them. */
  readonly calls: readonly string[]
  readonly isKilled: boolean
}

/** Runs a script under strace with these options until it exits or is killed; rejects if it exits with an error. */
export async function runTraced(options: readonly string[], script: string, args: readonly string[]): Promise<Traced> {
  const file = join(makeFolder(), 'calls')
  const command = [process.execPath, '--conditions=millrace-source', '--disable-warning=ExperimentalWarning', script, ...args]
  const child = spawn('strace', ['-f', '-qq', '-o', file, ...options, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  const [code, signal] = await once(child, 'close')
  const isKilled = signal === 'SIGKILL'
  if (code !== 0 && !isKilled) throw new Error(`The program exited with ${code}. Its output: ${output}`)
  return { output: output.trimEnd().split('\n'), calls: readFileSync(file, 'utf8').trimEnd().split('\n'), isKilled }
}
