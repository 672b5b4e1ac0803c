/** Creates cursors, the only way from a log to its readers. Tails are created on demand and shared. */
import type { Position } from '@millrace/protocol'
import { decorate } from '../log/decorate.ts'
import type { Engine, Page } from '../log/log.ts'
import { Cursor } from './cursor.ts'
import { DeliveryStats, type ReaderCounts } from './delivery-stats.ts'
import type { Scheduler } from './scheduler.ts'
import { Tail } from './tail.ts'
import { createTailMemory } from './tail-memory.ts'
import type { Encode, Sink, SlowPolicy, Wire } from './wire.ts'

export interface Attachment {
  readonly log: string
  /** MUST be a position of this log: the caller has checked it; see `Engine.read` for the errors. */
  readonly after: Position
  readonly wire: Wire
  readonly sink: Sink
  /** Default `wait`. */
  readonly slow?: SlowPolicy | undefined
  /** The sink accepts nothing until the cursor's `drained()` is called. Default false. */
  readonly blocked?: boolean
  /** As `CursorOptions.encode`. */
  readonly encode?: Encode | undefined
}

export interface FanOut {
  /** Writes the events after a position into a sink, until the cursor is closed or ends. */
  attach(attachment: Attachment): Cursor
  /** Memory of all tails. */
  readonly tailBytes: number
  countReaders(): ReaderCounts
}

export interface FanOutOptions {
  readonly engine: Engine
  readonly scheduler: Scheduler
  /** Default: nobody watches what is delivered. */
  readonly stats?: DeliveryStats | undefined
  /** Called with each page that is read for a reader. */
  readonly onPage?: (log: string, page: Page) => void
  /** Called with the reason why readers wait, or were disconnected: a log was deleted, or cannot be read. Default: none. */
  readonly onReadError?: (error: unknown) => void
  /** Bound of the memory of all tails; default 64 MiB. */
  readonly tailBytesMax?: number
  /** A tail that has not grown for this time, or at most for twice as long, releases its memory; default 5,000 ms. */
  readonly tailUnusedMs?: number
}

const mebibyte = 1024 * 1024

export function createFanOut(options: FanOutOptions): FanOut {
  const { scheduler, onPage, onReadError = () => {}, tailBytesMax = 64 * mebibyte, tailUnusedMs = 5000 } = options
  const engine = onPage === undefined ? options.engine : decorate(options.engine, reporting(options.engine, onPage))
  const { stats = new DeliveryStats() } = options
  const tails = new Map<string, Tail>()
  const memory = createTailMemory({ bytesMax: tailBytesMax, unusedMs: tailUnusedMs })

  return {
    attach(attachment) {
      const cursor = new Cursor({ ...attachment, engine, scheduler, stats, findTail, onReadError })
      const tail = tails.get(keyOf(cursor))
      if (tail?.reaches(cursor)) cursor.join(tail)
      else void cursor.catchUp()
      return cursor
    },
    get tailBytes() {
      return memory.total
    },
    countReaders() {
      const counts = { live: 0, blocked: 0, behind: stats.behind.size, lagMax: 0 }
      for (const tail of tails.values()) {
        const { live, blocked, lagMax } = tail.countReaders()
        counts.live += live
        counts.blocked += blocked
        counts.lagMax = Math.max(counts.lagMax, lagMax)
      }
      for (const lag of stats.behind.values()) counts.lagMax = Math.max(counts.lagMax, lag)
      return counts
    },
  }

  function findTail(cursor: Cursor): Tail {
    const key = keyOf(cursor)
    const existing = tails.get(key)
    if (existing !== undefined) return existing
    const { log, epoch, wire, offset } = cursor
    const tail: Tail = new Tail({
      engine,
      scheduler,
      stats: options.stats,
      memory,
      log,
      epoch,
      wire,
      encode: cursor.encode ?? wire.encode,
      offset,
      onReadError,
      onEmpty: () => {
        if (tails.get(key) === tail) tails.delete(key)
      },
    })
    tails.set(key, tail)
    return tail
  }
}

function keyOf({ log, epoch, wire }: Cursor): string {
  return `${log}\0${epoch}\0${wire.key}`
}

function reporting(engine: Engine, onPage: (log: string, page: Page) => void): Pick<Engine, 'read' | 'peek'> {
  return {
    async read(log, ...request) {
      const page = await engine.read(log, ...request)
      onPage(log, page)
      return page
    },
    peek(log, ...request) {
      const page = engine.peek?.(log, ...request)
      if (page !== undefined) onPage(log, page)
      return page
    },
  }
}
