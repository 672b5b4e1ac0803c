/** A real nginx for tests, from its binary, on a port of its own, ended by its pid. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { findPort } from './port.ts'
import { untilSaid } from './said.ts'

/** With these locations in its server; everything else is as nginx has it, or as Debian does. Its address. */
export async function startNginx(locations: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nginx-'))
  const port = await findPort()
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  // Said by Debian's own: gzip. Here for every type, which is worse for a stream.
  const server = `gzip on; gzip_types *; gzip_min_length 0; server { listen 127.0.0.1:${port}; ${locations} }`
  const http = `http { access_log off; ${temp.join(' ')} ${server} }`
  const own = `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice; events {}`
  writeFileSync(join(folder, 'nginx.conf'), `${own} ${http}\n`)
  const nginx = spawn('nginx', ['-p', folder, '-c', 'nginx.conf'], {
    // Where Debian has it is not on everybody's path.
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  onTestFinished(async () => {
    if (nginx.exitCode === null && nginx.kill('SIGKILL')) await once(nginx, 'exit')
    rmSync(folder, { recursive: true, force: true })
  })
  // By then it listens.
  await untilSaid(nginx, nginx.stderr, 'OS: ')
  return `http://127.0.0.1:${port}`
}
