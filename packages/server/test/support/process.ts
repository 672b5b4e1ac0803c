/** `millrace start` as a process over a folder, which can be killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const cli = fileURLToPath(new URL('../../src/cli/index.ts', import.meta.url))

/** Removed with the test. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export async function startProcess(folder: string) {
  const args = ['--conditions=millrace-source', cli, '--port', '0', '--data', folder, '--engine', 'sqlite']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  const kill = async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  child.stdout.setEncoding('utf8')
  for (;;) {
    output += String(await once(child.stdout, 'data'))
    const url = /API {4}(http:\S+)\/api\/openapi\.json[\s\S]*Logs/.exec(output)?.[1]
    if (url !== undefined) return { url, kill }
  }
}
