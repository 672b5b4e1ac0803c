/** Starts a real nginx for tests, on a free port, and ends it by its pid. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { waitForOutput } from './output.ts'
import { findPort } from './port.ts'

/** An nginx with these locations; all other settings are nginx's or Debian's defaults. Resolves with its address. */
export async function startNginx(locations: string): Promise<string> {
  const port = await findPort()
  // Debian enables gzip. Here it applies to every type, which is worse for a stream.
  await runNginx(`gzip on; gzip_types *; gzip_min_length 0; server { listen 127.0.0.1:${port}; ${locations} }`)
  return `http://127.0.0.1:${port}`
}

/** An nginx with these directives of the http block. Resolves when it listens; ends with the test. */
export async function runNginx(directives: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nginx-'))
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  const http = `http { access_log off; ${temp.join(' ')} ${directives} }`
  const own = `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice; events {}`
  writeFileSync(join(folder, 'nginx.conf'), `${own} ${http}\n`)
  const nginx = spawn('nginx', ['-p', folder, '-c', 'nginx.conf'], {
    // Debian installs it outside of most users' PATH.
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  onTestFinished(async () => {
    if (nginx.exitCode === null && nginx.kill('SIGKILL')) await once(nginx, 'exit')
    rmSync(folder, { recursive: true, force: true })
  })
  // It has printed that, so it listens.
  await waitForOutput(nginx, nginx.stderr, 'OS: ')
}
