/**
 * `npm run dev [-- arguments of millrace dev]`: the server, restarted when its sources change, and the page from Vite with the
 * server behind it. When one exits, both do.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { root } from '../install.mjs'
import { forwardSignals } from '../supervise.mjs'

const args = process.argv.slice(2)
const { values } = parseArgs({ args, options: { port: { type: 'string' } }, strict: false, allowPositionals: true })
const port = String(values.port ?? process.env['PORT'] ?? 4600)
const env = { ...process.env, PORT: port, MILLRACE_URL: `http://127.0.0.1:${port}` }
const server = [
  '--watch',
  '--watch-preserve-output',
  '--conditions=millrace-source',
  join(root, 'packages/server/src/cli/index.ts'),
  'dev',
]
const children = [
  spawn(process.execPath, [...server, ...args], { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] }),
  spawn('vite', {
    cwd: join(root, 'apps/web'),
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  }),
]

let isEnding = false
const release = forwardSignals(endAll)
await Promise.all(children.map(end))
release()

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('error', (error) => console.error(error.message))
    child.once('close', (code) => {
      // Once: a second signal would make the server exit without finishing.
      if (!isEnding) {
        process.exitCode = code ?? 1
        endAll()
      }
      resolve()
    })
  })
}

function endAll(): void {
  isEnding = true
  for (const child of children) child.kill()
}
