/** A server that can be killed and started again on the same port over the same folder. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findPort } from '@millrace/suites'

const script = fileURLToPath(new URL('./serving.ts', import.meta.url))

export interface Killable extends AsyncDisposable {
  readonly port: number
  /** As `kill -9` does: nothing is said, written or closed. */
  kill(): Promise<void>
  start(): Promise<void>
}

/** @param page Folder of the built page. */
export async function startKillable(page: string, model: string): Promise<Killable> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-killed-'))
  let child: ChildProcess
  const port = await findPort()
  const start = async () => {
    child = spawn(process.execPath, ['--conditions=millrace-source', script, folder, page, model, String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
    if (Number(String(line)) !== port) throw new Error(`The server did not start: ${line}`)
  }
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await start()
  return {
    port,
    start,
    kill,
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
