/** The load: many readers, clients that connect at a fixed rate, and runs with one reader each. */
import { pace } from './pace.ts'
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

export interface Knocks {
  readonly asked: number
  readonly answered: number
  readonly perSecond: number
  readonly p99Ms: number
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
  knock: ({ port, path, perSecond, seconds }: { port: number; path: string; perSecond: number; seconds: number }) =>
    knock(port, path, perSecond, seconds),
  runs: runMany,
  resume: (options: Omit<ResumeOptions, 'readers' | 'tally'>) => resumeAll({ ...options, readers, tally: () => tally }),
  attach: attachOnce,
  close() {
    for (const { socket } of readers.splice(0)) socket.destroy()
  },
})

export interface Crowd {
  readonly port: number
  readonly path: string
  readonly count: number
  /** The session to attach to over WebSockets from now on; absent reads SSE from `path`, or opens the WebSocket that it names. */
  readonly attach?: string | undefined
  /** The age of each event, and not only of the oldest one of a read. */
  readonly isExact?: boolean
  /** Does not wait for responses: being connected is enough. */
  readonly isSilent?: boolean
}

async function openMany({ port, path, count, attach, isExact, isSilent = false }: Crowd): Promise<void> {
  // In batches, so that the listen backlog is not measured.
  for (let opened = 0; opened < count; opened += 100) {
    await Promise.all(
      Array.from({ length: Math.min(100, count - opened) }, () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        const isUp = path.startsWith('/ws/')
        const asked = isUp ? upgradeRequest.replace('/ws/chat', path) : attach === undefined ? request(path) : upgradeRequest
        const say = attach === undefined ? undefined : { type: 'attach', session: attach, from: 'now' }
        readers.push(openReader({ port, request: asked, say, tally: () => tally, isExact, onFirstBytes: resolve }))
        if (isSilent) resolve()
        return promise
      }),
    )
    if (isSilent) await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Opens connections at a fixed rate, whether or not earlier ones got a response, and disconnects at the first bytes. */
async function knock(port: number, path: string, perSecond: number, seconds: number): Promise<Knocks> {
  const times: number[] = []
  let asked = 0
  const own = newTally()
  const stop = pace(perSecond, (count) => {
    for (let n = 0; n < count; n++) {
      asked += 1
      const started = performance.now()
      const knocker = openReader({
        port,
        request: request(path),
        tally: () => own,
        onFirstBytes() {
          times.push(performance.now() - started)
          knocker.socket.destroy()
        },
      })
    }
  })
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const answered = times.length
  stop()
  return { asked, answered, perSecond: answered / seconds, p99Ms: quantile(times, 0.99) }
}

export interface ManyRuns {
  readonly port: number
  readonly transport: 'sse' | 'ws'
  readonly runs: number
  readonly tokens: number
}

/** Runs of `sim:count` at 50 tokens/s with one reader each, to their end. */
async function runMany({ port, transport, runs, tokens }: ManyRuns) {
  tally = newTally()
  const durations: number[] = []
  let complete = 0
  await Promise.all(
    Array.from({ length: runs }, (_, index) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      // Spread over a second; otherwise every token of every run is due at the same instant.
      setTimeout(
        () => {
          const started = performance.now()
          const model = `sim:count?n=${tokens}&tps=50`
          const isSocket = transport === 'ws'
          // stream_start and stream_end are events too; the plain exchange has only the end.
          const expected = isSocket ? tokens + 1 : tokens + 2
          const reader: Reader = openReader({
            port,
            request: isSocket ? upgradeRequest : request(`/api/chat?query=go&model=${encodeURIComponent(model)}`),
            ...(isSocket && {
              say: { query: 'go', model },
              onRead: ({ events, socket }) => events >= expected && socket.destroy(),
            }),
            tally: () => tally,
            onClose() {
              durations.push(performance.now() - started)
              if (reader.events === expected) complete += 1
              resolve()
            },
          })
        },
        (index / runs) * 1000,
      )
      return promise
    }),
  )
  return { complete, p50Ms: quantile(durations, 0.5), p99Ms: quantile(durations, 0.99) }
}

/** From the request to the last event of a finished log. */
async function attachOnce({ port, path, head }: { port: number; path: string; head: number }) {
  const own = newTally()
  const started = performance.now()
  const { promise, resolve } = Promise.withResolvers<void>()
  const reader = openReader({
    port,
    request: request(path),
    tally: () => own,
    onRead: ({ last }) => last === head && resolve(),
    onClose: resolve,
  })
  await promise
  const withinMs = performance.now() - started
  reader.socket.destroy()
  return { frames: own.events, bytes: own.bytes, withinMs, complete: reader.last === head }
}
