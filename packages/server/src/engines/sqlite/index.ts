/**
 * The SQLite engine: logs in one file, which outlive the process. The database works in a thread of its own.
 * "Acknowledged" means: committed, see `durability`.
 */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogEvent } from '../../log/log.ts'
import { namesMax } from '../shared/names.ts'
import { fromStored, type StoredEvent, toStored } from '../shared/packing.ts'
import { createRecentEvents } from '../shared/recent-events.ts'
import type { Answer, Limits, Request } from './requests.ts'
import { createThread, damaged } from './thread.ts'

export interface SqliteEngineOptions {
  /** Where the file `millrace.db` is, and those that belong to it; made if it does not exist. One server at a time. */
  readonly folder: string
  /**
   * What an acknowledged event survives. `process`, the default: the end of this process, however it ends.
   * `disk`: a power loss too, at the cost of a flush to the disk for each group.
   */
  readonly durability?: 'process' | 'disk'
  /** Bytes kept per log, however many events that is, 100 for each event beside its data; default 64 MiB. */
  readonly bytesMax?: number
  /**
   * Bytes kept in all logs together, counted in the same way; for more, logs are deleted, the one written to longest ago
   * first and none that has a reader. What fits in no other way is rejected with `log_full`. Default: what the disk holds.
   */
  readonly totalBytesMax?: number
  /** Age up to which an event is kept; a log without events or appends for so long is deleted. Default 30 days. */
  readonly ageMsMax?: number
  /** How long a call waits for a disk that stands still, in milliseconds; default 10,000. */
  readonly timeoutMs?: number
  /** Told, in sentences, when logs may have lost what was acknowledged, and have new epochs; default writes to standard error. */
  readonly onLoss?: (warning: string) => void
}

const dayMs = 24 * 60 * 60 * 1000

export function sqliteEngine({ folder, durability = 'process', timeoutMs = 10_000, ...options }: SqliteEngineOptions): Engine {
  const onLoss = options.onLoss ?? ((warning) => console.error('millrace:', warning))
  const ageMsMax = options.ageMsMax ?? 30 * dayMs
  const limits: Limits = {
    bytesMax: options.bytesMax ?? 64 * 1024 * 1024,
    ageMsMax,
    totalBytesMax: options.totalBytesMax ?? Number.POSITIVE_INFINITY,
    isDurableOnDisk: durability === 'disk',
  }
  const notifier = new Map<string, Set<() => void>>()
  const recent = createRecentEvents()
  const sweeper = setInterval(() => void sweep(), Math.min(60_000, Math.max(10, ageMsMax / 4)))
  sweeper.unref()
  const writer = createThread({ folder, limits, timeoutMs, onLate, onWarning })
  // Of its own, so that nobody who appends waits for those who read.
  const reader = createThread({ folder, limits, timeoutMs, isReader: true })
  let opening: Promise<unknown> | undefined
  let isClosed = false
  let closing: Promise<void> | undefined

  return {
    isDurable: true,

    async append(log, events, { epoch, key, unless, expect, keep } = {}) {
      const stored = events.map(({ type, data }) => ({ type, data: toStored(data) }))
      const answer = await append({ op: 'append', log, epoch, key, unless, expect, keep, events: stored, now: Date.now() })
      const { epoch: made = '', head = 0, start = 0, time = 0, duplicate = false } = answer
      if (!duplicate) {
        recent.push(log, { epoch: made, head, start, time, events })
        if (events.length > 0) notify(log)
      }
      return { position: { epoch: made, offset: head }, duplicate }
    },

    async read(log, after, { eventsMax = 512, bytesMax = 262_144 } = {}) {
      if (isClosed) throw new MillraceError('server_stopping')
      const cached = recent.read(log, after, { eventsMax, bytesMax, oldest: Date.now() - ageMsMax })
      if (cached !== undefined) return cached
      const answer = await askReader({ op: 'read', log, ...after, eventsMax, bytesMax, now: Date.now() })
      const { epoch = '', start = 0, head = 0, events: stored = [] } = answer
      const at = (offset: number): Position => ({ epoch, offset })
      const events = eventsOf(log, stored)
      const page = { events, position: at(events.at(-1)?.offset ?? start), head: at(head) }
      return start === after.offset ? page : { ...page, gap: { from: after, to: at(start) } }
    },

    async inspect(log) {
      const { epoch, start = 0, head = 0 } = await askReader({ op: 'inspect', log, now: Date.now() })
      return epoch === undefined ? undefined : { start: { epoch, offset: start }, head: { epoch, offset: head } }
    },

    async list(prefix, after = '') {
      const { names = [] } = await askReader({ op: 'list', prefix, after, namesMax })
      return names
    },

    watch(log, bell) {
      const watchers = notifier.get(log) ?? new Set()
      // A wrapper of its own, so that the same function can watch twice and each watch ends alone.
      const watcher = () => bell()
      notifier.set(log, watchers.add(watcher))
      return () => {
        watchers.delete(watcher)
        if (watchers.size === 0 && notifier.get(log) === watchers) notifier.delete(log)
      }
    },

    async compact(log) {
      // Step by step, so that nobody who writes waits for long.
      let after: number | undefined = 0
      while (!isClosed && after !== undefined) after = (await ask({ op: 'compact', log, after })).next
    },

    async delete(log) {
      const { existed = false } = await ask({ op: 'delete', log })
      if (existed) end(log)
      return existed
    },

    close() {
      isClosed = true
      clearInterval(sweeper)
      notifier.clear()
      // What is closed last writes what the write-ahead log has into the file.
      closing ??= reader.close().then(() => writer.close())
      return closing
    },
  }

  function ask(request: Request): Promise<Answer> {
    return isClosed ? Promise.reject(new MillraceError('server_stopping')) : writer.ask(request)
  }

  /** Who appends beside it may take the room that was made. */
  async function append(request: Extract<Request, { op: 'append' }>): Promise<Answer> {
    for (;;) {
      const answer = await ask(request)
      if (answer.bytesOver === undefined) return answer
      const { gone = [] } = await ask({ op: 'makeRoom', bytes: answer.bytesOver, spare: [request.log, ...notifier.keys()] })
      if (gone.length === 0) {
        const message = `All of the ${limits.totalBytesMax} bytes that are kept are in use; try again later.`
        throw new MillraceError('log_full', { message })
      }
      for (const log of gone) end(log)
    }
  }

  /** The file has to be there, and to be found whole by who writes it. */
  async function askReader(request: Request): Promise<Answer> {
    opening ??= ask({ op: 'open' }).catch((error) => {
      opening = undefined
      throw error
    })
    await opening
    return reader.ask(request)
  }

  function onLate(request: Request): void {
    // It was answered with an error and has told nobody what it appended, or ended.
    if ('log' in request) end(request.log)
  }

  function onWarning(warning: string): void {
    // Where a thread that ended was replaced, what it had appended is of another epoch.
    recent.clear()
    for (const log of notifier.keys()) notify(log)
    onLoss(warning)
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
    notify(log)
  }

  function eventsOf(log: string, stored: readonly StoredEvent[]): LogEvent[] {
    try {
      return stored.map(fromStored)
    } catch {
      // The database has not noticed it: it keeps no checksums of its own.
      throw damaged(folder, log, 'an event is not what was written')
    }
  }

  function notify(log: string): void {
    const watchers = notifier.get(log)
    if (watchers !== undefined) for (const watcher of watchers) watcher()
  }
}
