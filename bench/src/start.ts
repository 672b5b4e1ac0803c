/** How long `millrace start` takes over many stored sessions to its first responses: the list of sessions, and one of them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createMillrace } from 'millrace'
import type { Figures } from './processes.ts'
import { openEngine } from './servers/open-engine.ts'

const folders = new Map<number, string>()

export async function measureStart(sessions: number): Promise<Figures> {
  // Filled once: this takes longer than all starts.
  const folder = folders.get(sessions) ?? (await fill(sessions))
  folders.set(sessions, folder)
  const cli = fileURLToPath(new URL('../../packages/server/src/cli/index.ts', import.meta.url))
  const started = performance.now()
  const server = spawn(
    process.execPath,
    ['--conditions=millrace-source', cli, '--port', '0', '--model', 'sim:count', '--data', folder],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  for (let output = ''; ; ) {
    output += String(await once(server.stdout, 'data'))
    const url = /API {4}(http:\S+)\/api\/openapi\.json/.exec(output)?.[1]
    if (url === undefined) continue
    const listeningMs = performance.now() - started
    for (const path of ['', '/session-1']) {
      const response = await fetch(`${url}/api/sessions${path}`)
      if (response.status !== 200) throw new Error(`/api/sessions${path} answered ${response.status}.`)
      await response.text()
    }
    const figures = { listeningMs, startMs: performance.now() - started }
    const ended = once(server, 'exit')
    server.kill()
    await ended
    return figures
  }
}

async function fill(sessions: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const millrace = createMillrace({ engine: openEngine('sqlite', folder), model: 'sim:count?n=20&tps=0' })
  for (let done = 0; done < sessions; done += 200)
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const session = `session-${done + index}`
        await millrace.engine.append(session, [])
        await (await millrace.ask({ query: 'count', session })).ended
      }),
    )
  await millrace.close()
  return folder
}
