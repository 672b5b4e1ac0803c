/**
 * The SQLite engine: logs in one file, which outlive the process. The database works in a thread of its own;
 * what is asked while it writes waits and becomes the next group, one transaction for all, so that a thousand
 * runs cost hardly more commits than one. "Acknowledged" means: committed, see `durability`.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogEvent } from '../../log/log.ts'
import { createRecent } from '../../log/recent.ts'
import { fromStored, type StoredEvent, toStored } from '../stored.ts'
import type { Answer, Failure, Limits, Reply, Request } from './requests.ts'

export interface SqliteEngineOptions {
  /** Where the file `millrace.db` is, and those that belong to it; made if it does not exist. One server at a time. */
  readonly folder: string
  /**
   * What an acknowledged event survives. `process`, the default: the end of this process, however it ends.
   * `disk`: a power loss too, at the cost of a flush to the disk for each group.
   */
  readonly durability?: 'process' | 'disk'
  /** Events kept per log, and up to 512 more; default 100,000. */
  readonly eventsMax?: number
  /** Bytes kept per log, 100 for each event beside its data; default 64 MiB. */
  readonly bytesMax?: number
  /** Age up to which an event is kept; a log without events or appends for so long is deleted. Default 30 days. */
  readonly ageMsMax?: number
}

interface Asked {
  readonly request: Request
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: MillraceError) => void
}

const dayMs = 24 * 60 * 60 * 1000

export function sqliteEngine({ folder, durability = 'process', ...options }: SqliteEngineOptions): Engine {
  const ageMsMax = options.ageMsMax ?? 30 * dayMs
  const limits: Limits = {
    eventsMax: options.eventsMax ?? 100_000,
    bytesMax: options.bytesMax ?? 64 * 1024 * 1024,
    ageMsMax,
    isDurableOnDisk: durability === 'disk',
  }
  const bells = new Map<string, Set<() => void>>()
  const recent = createRecent()
  const sweeper = setInterval(() => void sweep(), Math.min(60_000, Math.max(10, ageMsMax / 4)))
  sweeper.unref()
  let worker: Worker | undefined
  let waiting: Asked[] = []
  let asked: readonly Asked[] = []
  let isClosed = false
  let closing: Promise<void> | undefined

  return {
    isDurable: true,

    async append(log, events, { epoch, key, unless, keep } = {}) {
      const stored = events.map(({ type, data }) => ({ type, data: toStored(data) }))
      const answer = await ask({ op: 'append', log, epoch, key, unless, keep, events: stored, now: Date.now() })
      const { epoch: made = '', head = 0, start = 0, time = 0, duplicate = false } = answer
      if (!duplicate) {
        recent.push(log, { epoch: made, head, start, time, events })
        if (events.length > 0) ring(log)
      }
      return { position: { epoch: made, offset: head }, duplicate }
    },

    async read(log, after, { eventsMax = 512, bytesMax = 262_144 } = {}) {
      if (isClosed) throw new MillraceError('server_stopping')
      const held = recent.read(log, after, { eventsMax, bytesMax, oldest: Date.now() - ageMsMax })
      if (held !== undefined) return held
      const answer = await ask({ op: 'read', log, ...after, eventsMax, bytesMax, now: Date.now() })
      const { epoch = '', start = 0, head = 0, events: stored = [] } = answer
      const at = (offset: number): Position => ({ epoch, offset })
      const events = eventsOf(stored)
      const page = { events, position: at(events.at(-1)?.offset ?? start), head: at(head) }
      return start === after.offset ? page : { ...page, gap: { from: after, to: at(start) } }
    },

    async inspect(log) {
      const { epoch, start = 0, head = 0 } = await ask({ op: 'inspect', log, now: Date.now() })
      return epoch === undefined ? undefined : { start: { epoch, offset: start }, head: { epoch, offset: head } }
    },

    watch(log, bell) {
      const ringers = bells.get(log) ?? new Set()
      // A wrapper of its own, so that the same function can watch twice and each watch ends alone.
      const ringer = () => bell()
      bells.set(log, ringers.add(ringer))
      return () => {
        ringers.delete(ringer)
        if (ringers.size === 0 && bells.get(log) === ringers) bells.delete(log)
      }
    },

    async compact(log) {
      // Step by step, so that nobody who writes waits for long.
      while (!isClosed && (await ask({ op: 'compact', log })).goesOn);
    },

    async delete(log) {
      const { existed = false } = await ask({ op: 'delete', log })
      if (existed) end(log)
      return existed
    },

    close() {
      closing ??= close()
      return closing
    },
  }

  function ask(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (isClosed) return reject(new MillraceError('server_stopping'))
      waiting.push({ request, resolve, reject })
      // What else is asked in this turn comes along.
      if (waiting.length === 1 && asked.length === 0) setImmediate(send)
    })
  }

  function send(): void {
    if (asked.length > 0 || waiting.length === 0) return
    asked = waiting
    waiting = []
    try {
      worker ??= start()
      // A process with nothing else to do waits for what it asked, and for nothing else.
      worker.ref()
      worker.postMessage(asked.map(({ request }) => request))
    } catch (error) {
      settle({ failure: 'unusable', message: (error as Error).message })
    }
  }

  function start(): Worker {
    mkdirSync(folder, { recursive: true })
    const isSource = import.meta.url.endsWith('.ts')
    const thread = new Worker(new URL(isSource ? './worker.ts' : './worker.js', import.meta.url), {
      workerData: { file: join(folder, 'millrace.db'), limits },
      // Nothing of the host's flags: a loader of its tests or its own would be run there too.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    thread.unref()
    thread.on('message', (reply: Reply) => settle(reply))
    thread.on('error', (error) => settle({ failure: 'internal', message: error.message }))
    // One that is gone is made anew by whoever asks next.
    thread.once('exit', () => {
      if (worker === thread) worker = undefined
      settle({ failure: 'internal', message: 'The thread of the SQLite engine ended.' })
    })
    return thread
  }

  function settle(reply: Reply): void {
    let group = asked
    asked = []
    worker?.unref()
    if ('failure' in reply && reply.failure === 'full' && !group.every(isReading)) {
      // The disk is full for those who write; who came along only to read is answered by itself.
      waiting.unshift(...group.filter(isReading))
      group = group.filter((each) => !isReading(each))
    }
    for (const [index, { resolve, reject }] of group.entries()) {
      if ('failure' in reply) reject(toError(reply, folder))
      else {
        const answer = reply.answers[index] as Answer
        if (answer.refused === undefined) resolve(answer)
        else reject(answer.refused === 'damaged' ? damaged(folder) : new MillraceError(answer.refused))
      }
    }
    send()
  }

  async function sweep(): Promise<void> {
    try {
      const { gone = [] } = await ask({ op: 'sweep', now: Date.now() })
      for (const log of gone) end(log)
    } catch {
      // The next sweep, or the next append, meets the same trouble and tells whom it concerns.
    }
  }

  function end(log: string): void {
    recent.forget(log)
    ring(log)
  }

  function eventsOf(stored: readonly StoredEvent[]): LogEvent[] {
    try {
      return stored.map(fromStored)
    } catch {
      throw damaged(folder)
    }
  }

  function ring(log: string): void {
    const ringers = bells.get(log)
    if (ringers !== undefined) for (const ringer of ringers) ringer()
  }

  async function close(): Promise<void> {
    clearInterval(sweeper)
    isClosed = true
    bells.clear()
    // What was asked is answered.
    while (asked.length + waiting.length > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    const thread = worker
    worker = undefined
    if (thread === undefined) return
    await new Promise<void>((resolve) => {
      thread.once('exit', () => resolve())
      thread.ref()
      thread.postMessage('close')
    })
  }
}

function isReading({ request: { op } }: Asked): boolean {
  return op === 'read' || op === 'inspect'
}

function toError({ failure, message }: Failure, folder: string): MillraceError {
  const cause = new Error(message)
  if (failure === 'full') return new MillraceError('log_full', { cause })
  const told = {
    busy: `Another server is using ${folder}; stop it, or give this one a folder of its own with --data.`,
    damaged: `The file millrace.db in ${folder} is damaged. Move it away to begin anew, or restore a copy of it; what it says: ${message}.`,
    unusable: `The folder ${folder} cannot be used: ${message}.`,
    internal: undefined,
  }[failure]
  return new MillraceError('engine_failed', { cause, ...(told !== undefined && { message: told }) })
}

/** What the database has not noticed: it keeps no checksums of its own. */
function damaged(folder: string): MillraceError {
  return toError({ failure: 'damaged', message: 'an event is not what was written' }, folder)
}
