import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

const entry = fileURLToPath(new URL('run.mjs', import.meta.url))

it('npm start with the name of another command runs that command, in the folder of the user', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [entry, 'start', ...args], { encoding: 'utf8', env: { ...process.env, INIT_CWD: folder } })
  expect(run('config', 'print', '--port', '8080')).toMatch(/^port +8080 +flag --port$/m)
  expect(run('token', '--help')).toMatch('Usage: millrace token')
})
