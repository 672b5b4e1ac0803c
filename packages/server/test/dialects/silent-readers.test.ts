/** A client that asks for a large answer and reads no byte of it: its connection is ended, and nobody else notices. */
import type { Model } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientFrame } from '../support/raw-socket.ts'
import { startRun, startServer } from '../support/server.ts'
import { askSilently, type SilentClient } from './support/silent.ts'
import { requestTo, type Speaker, speakers } from './support/speakers.ts'

/** More than the kernel keeps for a connection: 4 MiB. */
const piece = '#'.repeat(32 * 1024)
const pieces = 192
const total = piece.length * pieces
/** A cursor writes 64 KiB at once, where the last write was taken. */
const keptMax = 256 * 1024

/** A model says all of it at once, and ends when the test says so. */
async function start(dialects: Speaker['dialects']) {
  const said = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const model: Model = {
    name: 'm',
    async *stream() {
      for (let n = 0; n < pieces; n++) {
        yield piece
        await new Promise(setImmediate)
      }
      said.resolve()
      await gate.promise
    },
  }
  const server = await startServer({ dialects, models: [model], model: 'm', heartbeatMs: 500, limits: { writeMs: 3000 } })
  onTestFinished(() => gate.resolve())
  return {
    ...server,
    said: said.promise,
    finish: gate.resolve,
    async run() {
      const { sessions } = await server.millrace.sessions.list({ limit: 10 })
      expect(sessions.length).toBe(1)
      const { runs = [] } = (await server.millrace.readSession(sessions[0]?.id ?? '')) ?? {}
      expect(runs.length).toBe(1)
      return { status: runs[0]?.status, length: runs[0]?.lanes[0]?.text?.length }
    },
  }
}

/** How often a reader gets the whole answer: some dialects repeat it at its end. */
async function readAll({ body }: Response): Promise<number> {
  let count = 0
  for await (const chunk of body ?? []) for (const byte of chunk) if (byte === 0x23) count += 1
  return count / total
}

function expectBounded({ keptMax: kept }: Pick<SilentClient, 'keptMax'>): void {
  expect(kept()).toBeGreaterThan(0)
  expect(kept()).toBeLessThan(keptMax)
}

const askers = speakers.filter(({ asksModel }) => asksModel).map((speaker) => [speaker.name, speaker] as const)

describe.each(askers)('%s', (_name, speaker) => {
  const key = speaker.path.startsWith('/v1/') ? { 'idempotency-key': 'k' } : {}

  it('ends the stream of a client that never reads, and neither its run nor the stream of another', async () => {
    const { url, port, millrace, said, finish, run } = await start(speaker.dialects)
    const request = () => requestTo(url, speaker, speaker.body(), key)
    const silent = await askSilently(port, request())
    const other = readAll(await fetch(request()))
    await said
    await silent.closed
    expectBounded(silent)
    expect([await run(), millrace.connections]).toEqual([{ status: 'streaming', length: total }, 1])
    finish()
    const amounts = [await other, await readAll(await fetch(request()))]
    expect(amounts).toEqual([Math.max(1, Math.floor(amounts[0] ?? 0)), amounts[0]])
    expect(await run()).toEqual({ status: 'completed', length: total })
  })
})

const bodyOf = (name: string): object => JSON.parse(speakers.find((speaker) => speaker.name === name)?.body() ?? '')

describe.each([
  ['the AI SDK', 'ai-sdk', '/ai/ws', { type: 'send', requestId: 'q', id: 'c', body: bodyOf('AI SDK') }],
  ['TanStack AI', 'tanstack', '/tanstack/ws', bodyOf('TanStack AI')],
] as const)('a WebSocket of %s', (_name, dialect, path, message) => {
  it('is ended where its client never reads, and its run is not', async () => {
    const { url, port, millrace, said, finish, run } = await start([dialect])
    const headers = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }
    const frame = clientFrame(JSON.stringify(message))
    const silent = await askSilently(port, new Request(url + path, { headers }), frame)
    await said
    await silent.closed
    // It may have been ended for the pings that it did not answer, before its socket was full.
    expect(silent.keptMax()).toBeLessThan(keptMax)
    expect([await run(), millrace.connections]).toEqual([{ status: 'streaming', length: total }, 0])
    finish()
    await expect.poll(run).toEqual({ status: 'completed', length: total })
  })
})

describe('Durable Streams', () => {
  it('ends the stream of a client that never reads, and not that of another', async () => {
    const { url, port, millrace, said, finish } = await start(['durable-streams'])
    const { run } = await startRun(url, { query: 'x' })
    const request = () => new Request(`${url}/ds/runs/${run}?offset=-1&live=sse`)
    const silent = await askSilently(port, request())
    const other = readAll(await fetch(request()))
    await said
    await silent.closed
    expectBounded(silent)
    await expect.poll(() => millrace.connections).toBe(1)
    finish()
    expect([await other, await readAll(await fetch(request()))]).toEqual([1, 1])
  })
})

describe.each(askers.filter(([, { path }]) => path.startsWith('/v1/')))('%s as a whole', (_name, speaker) => {
  it('is given up where its client never reads, within the time for a response', async () => {
    const { url, port, finish, run } = await start(speaker.dialects)
    const body = JSON.stringify({ ...JSON.parse(speaker.body()), stream: false })
    const request = () => requestTo(url, speaker, body, { 'idempotency-key': 'k' })
    finish()
    const silent = await askSilently(port, request())
    await silent.closed
    // No answer is larger than what its session keeps.
    expect(silent.keptMax()).toBeGreaterThan(0)
    expect(silent.keptMax()).toBeLessThan(1.5 * total)
    expect([await readAll(await fetch(request())), await run()]).toEqual([1, { status: 'completed', length: total }])
  })
})
