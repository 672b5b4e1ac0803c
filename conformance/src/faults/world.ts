/**
 * Sessions with runs and readers, and channels with publishers and readers, during a fault. Everything that happens to
 * them is recorded, and compared with what was promised at the end of each round.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { formatPosition } from '@millrace/protocol'
import type { Given } from '../history.ts'
import { createLogRecord, type LogRecord, type WireEvent } from './log-record.ts'
import { openReader, type Reader } from './reader.ts'
import { ask, codeOf, type RequestError } from './request.ts'
import { addFindings, noteTime, type Tally } from './tally.ts'

export interface Followed {
  readonly id: string
  readonly record: LogRecord
  readonly readers: Reader[]
  /** Runs whose end a reader has received, with its data. */
  readonly ends: Map<string, { readonly status: string; readonly error?: { readonly code: string } }>
  /** Events that its readers received. */
  events: number
  /** Resets of its readers. */
  resets: number
}

/** A run, and its session. */
export interface Asked {
  readonly session: Followed
  readonly run: string
}

export interface World {
  /** Starts a run of the model `sim:…`, in a new session unless one is given. */
  start(url: string, model: string, session?: Followed): Promise<Asked>
  /** Resumes a run that ended early. */
  resume(url: string, asked: Asked): Promise<Asked>
  openChannel(): Followed
  read(log: Followed, count: number, urls: readonly string[], transport?: 'sse' | 'websocket'): void
  /** Publishes 1, 2, 3, … each under its own id until it is acknowledged; returns a function that stops. */
  publish(channel: Followed, url: () => string): () => Promise<void>
  /** Publications in this round that were rejected or got no response. */
  readonly rejections: number
  /** Waits for a state. Rejects after `msMax`. */
  until(isSo: () => boolean, what: string, msMax?: number): Promise<void>
  /** Reads every log, waits until its readers have caught up, and counts violations. `msMax` is 15,000 by default. */
  settle(url: string, msMax?: number): Promise<void>
}

let names = 0
/** Distinct in each process that shares an engine with this one. */
const newName = () => `${process.pid}-${Date.now().toString(36)}-${++names}`

export function createWorld(tally: Tally): World {
  const logs: Followed[] = []
  let rejections = 0

  return {
    async start(url, model, session) {
      const followed = session ?? follow(newName(), 'session')
      if (session === undefined) await postWithRetry(`${url}/api/sessions`, { id: followed.id })
      const run = newName()
      // Before its first event can arrive.
      followed.record.addRun(run)
      await postWithRetry(`${url}/api/chat`, { query: 'count', model, session: followed.id, id: run })
      return { session: followed, run }
    },

    async resume(url, { session, run }) {
      const id = newName()
      session.record.addRun(id)
      await ask(`${url}/api/runs/${run}/continue`, { session: session.id, id })
      return { session, run: id }
    },

    openChannel: () => follow(newName(), 'channel'),

    read(log, count, urls, transport = 'sse') {
      tally.readers += count
      for (let index = 0; index < count; index++) {
        const reader = openReader({
          record: log.record,
          urls,
          transport,
          onEvent(event) {
            tally.events += 1
            noteEvent(log, event)
          },
          onResumed: (ms) => noteTime(tally, 'resume', ms),
          onReset() {
            tally.resets += 1
            log.resets += 1
          },
        })
        log.readers.push(reader)
      }
    },

    publish(channel, url) {
      let isOver = false
      const publishing = (async () => {
        for (let n = 1; !isOver; n++) {
          const position = await publishOne(channel, n, { url, isOver: () => isOver, onRefused })
          channel.record.note(n, position === undefined ? 'unknown' : 'acknowledged', position)
        }
      })()
      return async () => {
        isOver = true
        await publishing
      }
    },

    get rejections() {
      return rejections
    },

    until,

    async settle(url, msMax) {
      for (const { record, readers } of logs) {
        const final = await readFinal(url, record)
        const last = final.at(-1)
        const head = last && formatPosition(last)
        await until(
          () => readers.every(({ position }) => position === head),
          () =>
            `readers of ${record.source} are at ${[...new Set(readers.map(({ position }) => position))].join(', ')}, not at ${head}`,
          msMax,
        )
        for (const reader of readers) reader.close()
        const found = record.check(final)
        addFindings(tally, found)
        tally.acknowledged += record.acknowledged
      }
      logs.length = 0
      rejections = 0
    },
  }

  function onRefused(): void {
    rejections += 1
  }

  function follow(id: string, kind: 'session' | 'channel'): Followed {
    const record = createLogRecord(`${kind}=${id}`)
    const followed: Followed = { id, record, readers: [], ends: new Map(), events: 0, resets: 0 }
    logs.push(followed)
    return followed
  }
}

function noteEvent(log: Followed, { event, data }: WireEvent): void {
  log.events += 1
  if (event !== 'stream_end') return
  const { run, ...end } = data as { run: string; status: string }
  log.ends.set(run, end)
}

async function until(isSo: () => boolean, what: string | (() => string), msMax = 15_000): Promise<void> {
  for (const deadline = performance.now() + msMax; !isSo(); await sleep(5))
    if (performance.now() > deadline) throw new Error(`waited ${msMax} ms for: ${typeof what === 'string' ? what : what()}`)
}

interface Publishing {
  readonly url: () => string
  readonly isOver: () => boolean
  readonly onRefused: () => void
}

/** Its position; undefined if no response arrived. */
async function publishOne(channel: Followed, n: number, { url, isOver, onRefused }: Publishing): Promise<string | undefined> {
  for (;;) {
    try {
      const body = { channel: channel.id, data: { n }, id: `p-${n}` }
      return (await ask<{ position: string }>(`${url()}/api/publish`, body)).position
    } catch (error) {
      const { status } = error as RequestError
      if (status >= 400 && status < 500) throw error
      onRefused()
      if (isOver()) return undefined
      await sleep(20)
    }
  }
}

/** The log from its first event to its last, as a new reader gets it. */
async function readFinal(url: string, record: LogRecord): Promise<Given[]> {
  const final: Given[] = []
  for (let from = 'start'; ; ) {
    const page = await askAgain<{ events: WireEvent[]; position: string }>(
      `${url}/api/stream?${record.source}&live=poll&wait=0&from=${from}`,
    )
    // The log no longer exists, and no position of it is valid.
    if (page === undefined) return []
    final.push(...page.events.flatMap((event) => record.toGiven(event)))
    if (page.events.length === 0) return final
    from = page.position
  }
}

/** Retries while the storage does not respond. The id makes it idempotent. */
async function postWithRetry(url: string, body: object): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const code = await codeOf(ask(url, body))
    if (code === '') return
    if (code !== 'engine_failed' || attempt === 4) throw new Error(`${url}: ${code}`)
  }
}

async function askAgain<T>(url: string): Promise<T | undefined> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask<T>(url)
    } catch (error) {
      if ((error as RequestError).code === 'session_not_found') return undefined
      if (attempt === 20) throw error
      await sleep(100)
    }
  }
}
