/**
 * Producers over real sockets and engines: cut after every line, in the middle of one, twice at once, and with the server killed.
 * Whatever happens, the answer is the one that was never cut. PROTOCOL.md#producers.
 */
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { json } from 'node:stream/consumers'
import { createMillrace, type Engine, memoryEngine, sqliteEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { startMillrace, startNode } from '../src/faults/server-process.ts'
import { startRedis } from '../src/servers/redis.ts'
import { startNodeOver } from './support/nodes.ts'

const redis = await startRedis()
afterAll(() => redis.close())

const engines: readonly (readonly [string, () => Engine])[] = [
  ['memory', () => memoryEngine()],
  ['sqlite', () => sqliteEngine({ folder: makeFolder() })],
  ['redis', () => redisEngine({ url: redis.url })],
]

const lines = [
  { reasoning: 'Let me ' },
  { reasoning: 'see.' },
  { text: 'The ri' },
  { text: 'ver 你' },
  { data: { name: 'step', value: { n: 1 } } },
  { tool_call: { id: 'c1', name: 'depth', arguments: { at: 'mill' } } },
  { tool_result: { call: 'c1', value: 3 } },
  { text: '好 runs.' },
  { usage: { inputTokens: 3, outputTokens: 9, totalTokens: 12 } },
  { end: { finishReason: 'stop' } },
].map((line) => `${JSON.stringify(line)}\n`)

/** What arrives before a server is killed. */
const begun = lines.slice(0, 4)

function open(url: string, run: string, seq: number, query: Record<string, string> = {}): ClientRequest {
  const headers = { 'content-type': 'application/x-ndjson', 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': `${seq}` }
  const parameters = new URLSearchParams({ id: run, query: 'What?', ...query }).toString()
  const sent = request(`${url}/api/runs?${parameters}`, { method: 'POST', headers, agent: false })
  sent.on('error', () => {})
  return sent
}

/** Sends lines, and what the server says when it has read all. */
async function send(sent: ClientRequest, all: readonly string[]) {
  const answered = once(sent, 'response')
  sent.end(all.join(''))
  const [response] = (await answered) as [IncomingMessage]
  return { status: response.statusCode, ...((await json(response)) as { next?: number; error?: { code: string } }) }
}

/** Sends bytes, and breaks the connection without an end. */
async function cut(sent: ClientRequest, bytes: string): Promise<void> {
  sent.flushHeaders()
  if (bytes !== '') await new Promise<void>((resolve) => void sent.write(bytes, () => resolve()))
  else await once(sent, 'socket')
  // `once` would reject with the error of the cut.
  const closed = new Promise((resolve) => sent.once('close', resolve))
  sent.destroy()
  await closed
}

async function answerOf(url: string, session: string) {
  const { runs } = (await (await fetch(`${url}/api/sessions/${session}`)).json()) as {
    runs: { status: string; query: string; lanes: { text: string; parts: unknown; usage: unknown; finishReason: unknown }[] }[]
  }
  return runs.map(({ status, query, lanes: [lane] }) => {
    const { text, parts, usage, finishReason } = lane ?? {}
    return { status, query, text, parts, usage, finishReason }
  })
}

describe.each(engines)('over %s', (_name, makeEngine) => {
  async function start() {
    const millrace = createMillrace({ engine: makeEngine(), onError: () => {} })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    const run = crypto.randomUUID()
    await send(open(url, run, 0, { session: run }), lines)
    const expected = await answerOf(url, run)
    expect(expected).toMatchObject([{ status: 'completed', text: 'The river 你好 runs.', query: 'What?' }])
    return { url, expected }
  }

  it.each([0, 1, 3])(
    'an answer that was cut after each of its lines, and begun %i lines before, is the same',
    async (overlap) => {
      const { url, expected } = await start()
      for (let at = 0; at <= lines.length; at++) {
        const run = crypto.randomUUID()
        await cut(open(url, run, 0, { session: run }), lines.slice(0, at).join('') + (lines[at] ?? '').slice(0, 5))
        // What was sent before a cut may not have arrived.
        const { next = 0 } = await send(open(url, run, 0, { session: run }), [])
        const from = Math.max(0, next - overlap)
        expect(await send(open(url, run, from, { session: run }), lines.slice(from))).toMatchObject({ status: 200, next: 10 })
        expect(await answerOf(url, run)).toEqual(expected)
      }
    },
  )

  it('an answer that is cut again and again is the same', async () => {
    const { url, expected } = await start()
    const run = crypto.randomUUID()
    for (let at = 1; at < lines.length; at++) await cut(open(url, run, 0, { session: run }), lines.slice(0, at).join(''))
    expect(await send(open(url, run, 0, { session: run }), lines)).toMatchObject({ status: 200, next: 10 })
    expect(await answerOf(url, run)).toEqual(expected)
  })

  it('an answer that several connections send at once is the same', async () => {
    const { url, expected } = await start()
    const run = crypto.randomUUID()
    const all = await Promise.all(Array.from({ length: 6 }, () => send(open(url, run, 0, { session: run }), lines)))
    for (const { status } of all) expect(status).toBe(200)
    expect(await send(open(url, run, 0, { session: run }), lines)).toMatchObject({ status: 200, next: 10 })
    expect(await answerOf(url, run)).toEqual(expected)
  })
})

describe('a server that was killed in the middle', () => {
  /** Sends the rest to another server, or to the next process, as a run that continues what was kept. */
  async function goOn(url: string, session: string): Promise<void> {
    const ended = await send(open(url, session, 0), lines)
    expect(ended).toMatchObject({ status: 409, error: { code: 'run_ended' } })
    const [kept] = await answerOf(url, session)
    expect(kept).toMatchObject({ status: 'interrupted', text: 'The river 你' })
    const rest = [`{"text":"${'The river 你好 runs.'.slice(kept?.text?.length)}"}\n`, '{"end":true}\n']
    const options = { continues: session, session }
    expect(await send(open(url, `${session}-2`, 0, options), rest)).toMatchObject({ status: 200 })
    const after = await answerOf(url, session)
    expect(after.map(({ text }) => text).join('')).toBe('The river 你好 runs.')
    expect(after.at(-1)).toMatchObject({ status: 'completed', query: 'What?' })
  }

  it('over SQLite says that the run has ended; another one continues it', async () => {
    const server = await startMillrace(['--engine', 'sqlite', '--data', makeFolder()])
    const session = crypto.randomUUID()
    await send(open(server.url, session, 0, { session }), begun)
    await expect.poll(async () => (await answerOf(server.url, session))[0]?.text).toBe('The river 你')
    await server.restart()
    await goOn(server.url, session)
  })

  it('over Redis says so on another server, which before passed the lines on', async () => {
    const [one, two] = await Promise.all([startNodeOver(redis.url), startNodeOver(redis.url)])
    const session = crypto.randomUUID()
    await send(open(one.url, session, 0, { session }), begun.slice(0, 2))
    expect(await send(open(two.url, session, 0), begun)).toMatchObject({ status: 200, next: 4 })
    await expect.poll(async () => (await answerOf(two.url, session))[0]?.text).toBe('The river 你')
    one.child.kill('SIGKILL')
    await expect
      .poll(async () => (await send(open(two.url, session, 0), lines)).error?.code, { timeout: 10_000 })
      .toBe('run_ended')
    await goOn(two.url, session)
  })
})

describe('several servers over Redis', () => {
  const times = { leaseMs: 6000, graceMs: 0 }

  async function start() {
    const [one, two] = await Promise.all([startNode(redis.url, times), startNode(redis.url, times)])
    const run = crypto.randomUUID()
    await send(open(one.url, run, 0, { session: run }), lines)
    return { one: one.url, two: two.url, expected: await answerOf(two.url, run) }
  }

  it('take an answer in turn, cut after each of its lines', async () => {
    const { one, two, expected } = await start()
    const run = crypto.randomUUID()
    for (let at = 1; at < lines.length; at++)
      await cut(open(at % 2 === 0 ? two : one, run, 0, { session: run }), lines.slice(0, at).join(''))
    expect(await send(open(two, run, 0, { session: run }), lines)).toMatchObject({ status: 200, next: 10 })
    expect(await answerOf(two, run)).toEqual(expected)
    // No `next` from the server that did not have the run: which one that was, the first requests decide between them.
    expect(await send(open(one, run, 0, { session: run }), lines)).toMatchObject({ status: 200, end: { status: 'completed' } })
  })

  it('say what is wrong with lines that are passed on, and end them when the run ends', async () => {
    const { one, two } = await start()
    const run = crypto.randomUUID()
    await send(open(one, run, 0, { session: run }), begun)
    expect(await send(open(two, run, 7), ['{"text":"x"}\n'])).toMatchObject({ status: 409, error: { code: 'producer_gap' } })
    expect(await send(open(two, run, 4), ['{"txt":"x"}\n'])).toMatchObject({ status: 400, error: { code: 'invalid_request' } })
    const open2 = open(two, run, 4)
    const answered = once(open2, 'response')
    open2.write('{"text":"x"}\n')
    await expect.poll(async () => (await answerOf(two, run))[0]?.text).toBe('The river 你x')
    await fetch(`${one}/api/runs/${run}/stop`, { method: 'POST' })
    const [response] = (await answered) as [IncomingMessage]
    expect([response.statusCode, await json(response)]).toMatchObject([409, { error: { code: 'run_ended' } }])
  })
})
