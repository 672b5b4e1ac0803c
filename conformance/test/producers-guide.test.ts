/** The programs of docs/guides/producers.md, as they are: each over a connection that is cut, and again. */
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createMillrace, type Millrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'

const run = promisify(execFile)
const guide = (language = '') => readFileSync(new URL(`../../docs/guides/producers${language}.md`, import.meta.url), 'utf8')

function program(language: string, text = guide()): string {
  return new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(text)?.[1] ?? ''
}

const isHere = (command: string) => spawnSync(command, [command === 'go' ? 'version' : '--version']).status === 0

async function start(): Promise<{ readonly millrace: Millrace; readonly url: string }> {
  const millrace = createMillrace({ onError: () => {} })
  onTestFinished(() => millrace.close())
  return { millrace, url: (await millrace.listen({ port: 0 })).url }
}

/** The first connection is cut after the second line. */
async function cutting(url: string): Promise<{ readonly url: string; readonly connections: number }> {
  let connections = 0
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    const server = connect(Number(new URL(url).port), '127.0.0.1')
    connections += 1
    const isCut = connections === 1
    let sent = ''
    for (const socket of [client, server]) sockets.add(socket.on('error', () => {}))
    server.on('data', (chunk) => client.write(chunk)).on('close', () => client.destroy())
    client.on('close', () => server.destroy())
    client.on('data', (chunk) => {
      sent += chunk.toString('latin1')
      const end = sent.indexOf('"river "}')
      if (!isCut || end === -1) return void server.write(chunk)
      server.write(chunk.subarray(0, chunk.length - (sent.length - end - 9)), () => client.destroy())
    })
  })
  onTestFinished(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(proxy.address() as { port: number }).port}`,
    get connections() {
      return connections
    },
  }
}

const answerOf = async (millrace: Millrace, session: string) =>
  (await millrace.readSession(session))?.runs.map(({ status, lanes }) => [status, lanes[0]?.text])

describe('the programs', () => {
  it('of curl sends an answer', async () => {
    const { millrace, url } = await start()
    await run('sh', ['-c', program('sh').replace('http://127.0.0.1:4600', url)])
    expect(await answerOf(millrace, 'hello')).toEqual([['completed', 'Hello world.']])
  })

  it.skipIf(!isHere('python3'))('in Python goes on after a cut', async () => {
    const { millrace, url } = await start()
    const proxy = await cutting(url)
    const { stdout } = await run('python3', ['-c', program('python'), proxy.url])
    expect(proxy.connections).toBe(2)
    expect(stdout).toMatch(/^200 .*"completed"/)
    expect(await answerOf(millrace, 'job-1')).toEqual([['completed', 'The river runs.']])
  })

  it.skipIf(!isHere('go'))(
    isHere('go') ? 'in Go goes on after a cut' : 'in Go goes on after a cut (skipped: Go is not installed)',
    async () => {
      const { millrace, url } = await start()
      const file = join(makeFolder(), 'main.go')
      writeFileSync(file, program('go'))
      const proxy = await cutting(url)
      const { stdout } = await run('go', ['run', file, proxy.url], { env: { ...process.env, GOTOOLCHAIN: 'local' } })
      expect(proxy.connections).toBe(2)
      expect(stdout).toMatch(/^200 .*"completed"/)
      expect(await answerOf(millrace, 'job-2')).toEqual([['completed', 'The river runs.']])
      // Go compiles its HTTP package once.
    },
    300_000,
  )

  it('are the same in both languages', () => {
    for (const language of ['sh', 'python', 'go']) expect(program(language, guide('.zh-CN'))).toBe(program(language))
  })
})
