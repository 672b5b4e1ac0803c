/**
 * The engine is unavailable for longer than a call waits for it: runs and readers wait, none is disconnected, and all continue
 * where they were, with each word once.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSseParser, streamHeader } from '@millrace/protocol'
import { type Engine, MillraceError, type Model, memoryEngine, sqliteEngine } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ask, codeOf } from '../src/faults/request.ts'
import { startNats } from '../src/servers/nats.ts'
import { startLosslessRedis, startRedis } from '../src/servers/redis.ts'
import { countTo, numbersOf, openNodeOver, post, type Started } from './support/nodes.ts'

const timeoutMs = 400
const heartbeatMs = 200

interface Storage {
  readonly engines: readonly Engine[]
  leave(): unknown
  comeBack(): unknown
}

/** An engine that rejects for a while; every second append that it rejects is written anyway. */
function failing(inner: Engine): Storage {
  let isAway = false
  let appends = 0
  const guard = <T extends unknown[], R>(act: (...args: T) => Promise<R>) => {
    return async (...args: T): Promise<R> => {
      if (isAway) throw new MillraceError('engine_failed')
      return act(...args)
    }
  }
  const engine: Engine = {
    ...inner,
    peek: () => undefined,
    read: guard(inner.read),
    inspect: guard(inner.inspect),
    async append(...request) {
      if (!isAway) return inner.append(...request)
      if (++appends % 2 === 0) await inner.append(...request)
      throw new MillraceError('engine_failed')
    },
  }
  const set = (away: boolean) => () => {
    isAway = away
  }
  return { engines: [engine], leave: set(true), comeBack: set(false) }
}

async function stopped(server: { readonly pid: number; close(): Promise<void> }, make: () => Engine): Promise<Storage> {
  onTestFinished(() => server.close())
  const signal = (name: NodeJS.Signals) => () => process.kill(server.pid, name)
  return { engines: [make(), make()], leave: signal('SIGSTOP'), comeBack: signal('SIGCONT') }
}

const storages: readonly (readonly [string, () => Promise<Storage>])[] = [
  ['memory that rejects', async () => failing(memoryEngine())],
  [
    'SQLite that rejects',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'millrace-outage-'))
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      return failing(sqliteEngine({ folder }))
    },
  ],
  [
    'Redis that stands still',
    async () => {
      const server = await startRedis()
      return stopped(server, () => redisEngine({ url: server.url, timeoutMs }))
    },
  ],
  [
    'Redis that is killed and started again',
    async () => {
      const server = await startLosslessRedis()
      onTestFinished(() => server.close())
      const make = () => redisEngine({ url: server.url, timeoutMs })
      return { engines: [make(), make()], leave: () => server.kill(), comeBack: () => server.restart() }
    },
  ],
  [
    'NATS that stands still',
    async () => {
      const server = await startNats()
      return stopped(server, () => natsEngine({ url: server.url, timeoutMs }))
    },
  ],
]

/** Counts until the test ends it, in text and reasoning every few milliseconds. */
function counter(name: string): Model & { stop(): void } {
  let isStopped = false
  return {
    name,
    stop() {
      isStopped = true
    },
    async *stream({ signal }) {
      for (let n = 1; !signal.aborted && !isStopped; n++) {
        yield `${n} `
        await new Promise((resolve) => setTimeout(resolve, 3))
      }
    },
  }
}

interface Reader {
  /** By lane. */
  readonly texts: Map<string, string>
  readonly status: () => string | undefined
  readonly isCut: () => boolean
  readonly heartbeats: () => number
}

function createReader(run: string) {
  const texts = new Map<string, string>()
  let status: string | undefined
  let isCut = false
  let heartbeats = 0
  return {
    texts,
    status: () => status,
    isCut: () => isCut,
    heartbeats: () => heartbeats,
    take(event: string, data: { run?: string; lane?: string; text?: string; status?: string }) {
      if (data.run !== run) return
      if (event === 'message') texts.set(data.lane ?? '', (texts.get(data.lane ?? '') ?? '') + data.text)
      if (event === 'stream_end') status = data.status
    },
    beat() {
      heartbeats += 1
    },
    cut() {
      isCut = true
    },
  }
}

async function readSse(url: string, { session, run }: Started, answerTo?: string): Promise<Reader> {
  const reader = createReader(run)
  const abort = new AbortController()
  onTestFinished(() => abort.abort())
  const query = answerTo === undefined ? '' : '&heartbeat=answered'
  const { body, headers } = await fetch(`${url}/api/stream?session=${session}${query}`, { signal: abort.signal })
  const stream = headers.get(streamHeader)
  const answer = () => {
    if (answerTo === undefined || abort.signal.aborted) return
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ stream }) }
    fetch(`${answerTo}/api/heartbeat`, init).catch(() => {})
  }
  answer()
  const parser = createSseParser({
    onEvent: ({ event, data }) => reader.take(event, JSON.parse(data)),
    onComment() {
      reader.beat()
      answer()
    },
  })
  const readAll = async () => {
    for await (const chunk of body as ReadableStream<Uint8Array>) parser.push(chunk)
  }
  void readAll()
    .catch(() => {})
    .finally(reader.cut)
  return reader
}

function readSocket(url: string, { session, run }: Started): Reader {
  const reader = createReader(run)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat`, ['millrace.v1'])
  onTestFinished(() => socket.close())
  socket.addEventListener('open', () => socket.send(JSON.stringify({ type: 'attach', session })))
  socket.addEventListener('message', (message) => {
    const { type, event, data } = JSON.parse(message.data as string)
    if (type === 'event') reader.take(event, data)
    if (type === 'heartbeat') reader.beat()
  })
  socket.addEventListener('close', reader.cut)
  return reader
}

describe.each(storages)('while the engine is unavailable: %s', (_, start) => {
  it('runs and readers wait, and continue with each word once', async () => {
    const storage = await start()
    const models = [counter('one'), counter('two')]
    const nodes = await Promise.all(storage.engines.map((engine) => openNodeOver(engine, models, heartbeatMs)))
    const [{ url, millrace }, other] = [nodes[0], nodes.at(-1)] as [(typeof nodes)[0], (typeof nodes)[0]]
    const started = await post<Started>(`${url}/api/chat`, { query: 'count', models: ['one', 'two'] })
    const readers = [
      await readSse(url, started),
      await readSse(other.url, started),
      // A load balancer sends the acknowledgements to the other server.
      await readSse(url, started, other.url),
      readSocket(other.url, started),
    ]
    const lengthOf = ({ texts }: Reader, lane: string) => texts.get(lane)?.length ?? 0
    const goesOn = async () => {
      const before = readers.map((reader) => lengthOf(reader, 'one'))
      await expect
        .poll(() => readers.every((reader, n) => lengthOf(reader, 'one') > (before[n] ?? 0)), { timeout: 20_000 })
        .toBe(true)
    }
    await goesOn()
    await storage.leave()
    // Each call is rejected after its timeout.
    const publish = () => codeOf(ask(`${url}/api/publish`, { channel: 'c', data: 1 }))
    for (let refused = 0; refused < 3; ) if ((await publish()) !== '') refused += 1
    const before = readers.map(({ heartbeats }) => heartbeats())
    await expect
      .poll(() => readers.every(({ heartbeats }, n) => heartbeats() > 3 + (before[n] ?? 0)), { timeout: 10_000 })
      .toBe(true)
    expect(readers.map(({ isCut }) => isCut())).toEqual(readers.map(() => false))
    expect(millrace.findRun(started.run)?.end).toBeUndefined()
    await storage.comeBack()
    await goesOn()
    for (const model of models) model.stop()
    await expect.poll(() => readers.map(({ status }) => status()), { timeout: 20_000 }).toEqual(readers.map(() => 'completed'))
    const transcript = await other.millrace.readSession(started.session)
    for (const lane of ['one', 'two']) {
      const said = transcript?.runs[0]?.lanes.find((each) => each.lane === lane)?.text ?? ''
      expect(numbersOf(said)).toEqual(countTo(said))
      for (const { texts } of readers) expect(texts.get(lane)).toBe(said)
    }
    expect(readers.map(({ isCut }) => isCut())).toEqual(readers.map(() => false))
  }, 60_000)
})
