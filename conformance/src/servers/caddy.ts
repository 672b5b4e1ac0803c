/** Starts a real Caddy for tests, on a free port, and ends it by its pid. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { waitForOutput } from './output.ts'
import { findPort } from './port.ts'

/** A Caddy with one site of these directives; all other settings are its defaults. Resolves with its address. */
export async function startCaddy(directives: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-caddy-'))
  const port = await findPort()
  const site = `http://127.0.0.1:${port}`
  writeFileSync(join(folder, 'Caddyfile'), `{\nadmin off\n}\n${site} {\n${directives}\n}\n`)
  const caddy = spawn('caddy', ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], {
    // It writes its certificates and its last configuration there.
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  onTestFinished(async () => {
    if (caddy.exitCode === null && caddy.kill('SIGKILL')) await once(caddy, 'exit')
    rmSync(folder, { recursive: true, force: true })
  })
  await waitForOutput(caddy, caddy.stderr, 'serving initial configuration')
  return site
}
