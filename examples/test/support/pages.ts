/** The pages of the examples. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export const pages = new URL('../../src/pages/', import.meta.url)

/** Builds one of the pages, and serves it before a server; resolves with its address. */
export async function servePage(framework: string, env: Record<string, string> = {}): Promise<string> {
  const child = spawn(process.execPath, ['--conditions=millrace-source', fileURLToPath(new URL('serve.ts', pages)), framework], {
    env: { ...process.env, PORT: '0', ...env },
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
