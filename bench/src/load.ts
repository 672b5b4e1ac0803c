/** The load: many readers, clients that connect at a fixed rate, and questions with one reader each. */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { askDialect, askInTurns, type DialectQuestions, type QuestionsInTurns } from './asking-dialects.ts'
import { attachOnce } from './attach.ts'
import { pace } from './due.ts'
import { createMeter, serveCommands, type Usage } from './processes.ts'
import { newTally, openReader, quantile, type Reader } from './reader.ts'
import { request, upgradeRequest } from './requests.ts'
import { type ResumeOptions, resumeAll } from './resume.ts'

export interface Window extends Usage {
  readonly deliveries: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly eventsPerRead: number
}

const readers: Reader[] = []
const meter = createMeter()
let tally = newTally()

serveCommands({
  open: openMany,
  async openEach({ port, paths }: { port: number; paths: readonly string[] }) {
    for (const path of paths) await openMany({ port, path, count: 1, isExact: true })
  },
  begin() {
    tally = newTally()
    meter.begin()
  },
  end(): Window {
    const usage = meter.end()
    const { events, reads, latencies } = tally
    return {
      ...usage,
      deliveries: events,
      perSecond: events / (usage.wallMs / 1000),
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      eventsPerRead: events / Math.max(1, reads),
    }
  },
  /** When the last connection has ended, in milliseconds since 1970. */
  async ended() {
    await Promise.all(readers.filter(({ socket }) => !socket.closed).map(({ socket }) => once(socket, 'close')))
    return Date.now()
  },
  knock,
  ask: askMany,
  askDialect: (questions: DialectQuestions) => askDialect(questions, () => tally),
  askInTurns: (questions: QuestionsInTurns) => askInTurns(questions, () => tally),
  resume: (options: Omit<ResumeOptions, 'readers' | 'tally'>) => resumeAll({ ...options, readers, tally: () => tally }),
  attach: attachOnce,
})

export interface Crowd {
  readonly port: number
  readonly path: string
  readonly count: number
  readonly token?: string
  /** The session to attach to over WebSockets from now on; absent reads SSE from `path`, or opens the WebSocket that it names. */
  readonly attach?: string | undefined
  /** Takes the latency of every read. */
  readonly isExact?: boolean
  /** Does not wait for responses: being connected is enough. */
  readonly isSilent?: boolean
}

async function openMany({ port, path, count, token, attach, isExact, isSilent = false }: Crowd): Promise<void> {
  // In batches, so that the listen backlog is not measured.
  for (let opened = 0; opened < count; opened += 100) {
    await Promise.all(
      Array.from({ length: Math.min(100, count - opened) }, () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        const isUpgrade = path.startsWith('/ws/')
        const asked = isUpgrade
          ? upgradeRequest.replace('/ws/chat', path)
          : attach === undefined
            ? request(path, token)
            : upgradeRequest
        const say = attach === undefined ? undefined : { type: 'attach', session: attach, from: 'now' }
        readers.push(openReader({ port, request: asked, say, tally: () => tally, isExact, onFirstBytes: resolve }))
        if (isSilent) resolve()
        return promise
      }),
    )
    if (isSilent) await setTimeout(50)
  }
}

export interface Knocks {
  readonly port: number
  readonly path: string
  readonly perSecond: number
  readonly seconds: number
}

/** Opens connections at a fixed rate, whether or not earlier ones got a response, and resolves with how many did, per second. */
async function knock({ port, path, perSecond, seconds }: Knocks): Promise<number> {
  let answered = 0
  const own = newTally()
  const stop = pace(perSecond, () => {
    const onFirstBytes = () => {
      answered += 1
      knocker.socket.destroy()
    }
    const knocker = openReader({ port, request: request(path), tally: () => own, onFirstBytes })
  })
  await setTimeout(seconds * 1000)
  stop()
  return answered / seconds
}

export interface Questions {
  readonly port: number
  readonly transport: 'sse' | 'ws'
  readonly count: number
  readonly tokens: number
}

/** Asks `bench:due` within a second, one reader each, and resolves at the end with how many answers arrived whole. */
async function askMany({ port, transport, count, tokens }: Questions): Promise<number> {
  const whole = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      await setTimeout((index / count) * 1000)
      return askOne(port, transport, tokens)
    }),
  )
  return whole.filter(Boolean).length
}

function askOne(port: number, transport: 'sse' | 'ws', tokens: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const model = 'bench:due'
  const isSocket = transport === 'ws'
  // stream_start and stream_end are events too; over WebSockets the start is the response to the question.
  const expected = isSocket ? tokens + 1 : tokens + 2
  const reader = openReader({
    port,
    request: isSocket ? upgradeRequest : request(`/api/chat?query=${tokens}&model=${model}`),
    ...(isSocket && {
      say: { query: String(tokens), model },
      onRead: ({ events, socket }: Reader) => events >= expected && socket.destroy(),
    }),
    tally: () => tally,
    isExact: true,
    onClose: () => resolve(reader.events === expected),
  })
  return promise
}
