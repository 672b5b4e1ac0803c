/** A supervised process, its supervisor, and what each notices when the other dies. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { dropRepeats } from './supervise.mjs'

const supervisor = (code: string) => `
  import { runToEnd } from ${JSON.stringify(new URL('./supervise.mjs', import.meta.url).href)}
  await runToEnd(process.execPath, ['--input-type=module', '--eval', ${JSON.stringify(code)}])`

/** Prints its pid, then each signal; exits with 3 at a `last` one. */
const listening = `
  const timer = setInterval(() => {}, 1000)
  process.on('SIGINT', () => console.log('SIGINT'))
  process.on('SIGTERM', () => { console.log('SIGTERM'); clearInterval(timer); process.exitCode = 3 })
  console.log(process.pid)`

/** With parent processes, as npm starts it. */
async function start(code: string, parents: readonly string[] = []) {
  const command = [...parents, process.execPath, '--input-type=module', '--eval', supervisor(code)]
  const env = { ...process.env, npm_execpath: parents.length > 0 ? 'npm' : undefined }
  const child: ChildProcess = spawn(command[0] as string, command.slice(1), { env })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  const next = async () => (await lines.next()).value as string | undefined
  return { child, next }
}

it('passes the exit code on', async () => {
  const { child } = await start('process.exitCode = 7')
  expect(await once(child, 'exit')).toEqual([7, null])
})

it('exits by the signal that ended the process', async () => {
  const { child, next } = await start(`console.log('up'); setInterval(() => {}, 1000)`)
  await next()
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([null, 'SIGTERM'])
})

it('passes signals on, and leaves the exit to the process', async () => {
  const { child, next } = await start(listening)
  await next()
  child.kill('SIGINT')
  expect(await next()).toBe('SIGINT')
  child.kill('SIGTERM')
  expect(await next()).toBe('SIGTERM')
  expect(await once(child, 'exit')).toEqual([3, null])
})

it('takes two signals in quick succession for one', () => {
  let now = 1000
  const passed: string[] = []
  const forward = dropRepeats(
    (signal) => passed.push(signal),
    () => now,
  )
  forward('SIGINT')
  now += 20
  forward('SIGINT')
  forward('SIGTERM')
  now += 1000
  forward('SIGTERM')
  expect(passed).toEqual(['SIGINT', 'SIGTERM', 'SIGTERM'])
})

const shell = ['sh', '-c', '"$@"; exit $?', 'sh']
const npm = [process.execPath, '--eval', `require('child_process').spawn('sh', process.argv.slice(2), { stdio: 'inherit' })`]
const ends: [string, readonly string[]][] = [
  ['the supervisor is killed', []],
  ['the shell that npm started it with is killed', shell],
]
// Elsewhere npm's shell replaces itself with the command.
if (process.platform === 'linux') ends.push(['npm is killed', [...npm, ...shell]])

it.each(ends)('leaves no process behind when %s', async (_, parents) => {
  const { child, next } = await start(listening, parents)
  expect(Number(await next())).toBeGreaterThan(0)
  child.kill('SIGKILL')
  expect(await next()).toBe('SIGTERM')
  expect(await next()).toBeUndefined()
})

it('starts in a folder whose path has characters that are special in a URL', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'C# 100%25 é '))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const file of ['supervise.mjs', 'lifeline.mjs']) cpSync(new URL(file, import.meta.url), join(folder, file))
  const code = `
    import { runToEnd } from ${JSON.stringify(pathToFileURL(join(folder, 'supervise.mjs')).href)}
    await runToEnd(process.execPath, ['--input-type=module', '--eval', 'process.exitCode = 7'])`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: 'inherit' })
  expect(await once(child, 'exit')).toEqual([7, null])
})
