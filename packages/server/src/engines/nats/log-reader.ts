/** Reads pages of logs. In a cluster, an error that a server which lags behind may have caused is checked again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError, type Position } from '@millrace/protocol'
import type { Page } from '../../log/log.ts'
import type { Notifier } from '../shared/notifier.ts'
import type { Bounds, RecentEvents } from '../shared/recent-events.ts'
import type { LogIndex } from './log-index.ts'
import { type LogIndexer, staleMsMax, stalePauseMs } from './log-indexer.ts'
import { loadPage } from './page.ts'
import type { LogStream } from './stream.ts'

export interface ReaderOptions {
  readonly stream: LogStream
  readonly indexer: LogIndexer
  readonly recent: RecentEvents
  readonly notifier: Notifier
  /** Runs `act` with the index of a log, one call at a time for each log. */
  readonly inTurn: <T>(log: string, act: (index: LogIndex, deadline: number) => Promise<T>) => Promise<T>
}

/** A log that was deleted is not waited for as long as a position that the log has lost. */
const otherStaleMsMax = 2000
/** How often a page is read before what is missing in it counts as lost. */
const readsMax = 4

export class LogReader {
  readonly #options: ReaderOptions

  constructor(options: ReaderOptions) {
    this.#options = options
  }

  peek(log: string, after: Position, bounds: Bounds): Page | undefined {
    const { recent, notifier } = this.#options
    return recent.peek(log, after, { ...bounds, head: notifier.notifiedHead(log) })
  }

  async read(log: string, after: Position, bounds: Bounds): Promise<Page> {
    const { stream, inTurn } = this.#options
    const cached = this.peek(log, after, bounds)
    if (cached !== undefined) return cached
    for (const startedAt = performance.now(); ; await sleep(stalePauseMs)) {
      // The pause is outside of the log's turn, so that a wrong position does not block the log for others.
      const result = await inTurn(log, (index, deadline) => this.#readPage(log, index, after, bounds, deadline))
      if (!(result instanceof MillraceError)) return result
      const msMax = result.code === 'position_ahead' ? staleMsMax : otherStaleMsMax
      if (!stream.isInCluster || performance.now() > startedAt + msMax) throw result
    }
  }

  /** A page, or an error that a server which lags behind may have caused. */
  async #readPage(
    log: string,
    index: LogIndex,
    after: Position,
    bounds: Bounds,
    deadline: number,
  ): Promise<Page | MillraceError> {
    const { stream, indexer, recent, notifier } = this.#options
    for (let isSure = !stream.isInCluster, reads = 0; ; isSure ||= ++reads === readsMax) {
      await indexer.refresh(log, index, deadline, after.offset)
      const error = positionError(index, after)
      // The stream has the log's end: that is certain.
      if (error !== undefined && index.epoch === undefined && index.seq > 0) throw error
      if (error !== undefined) return error
      const cached = after.offset >= index.start ? recent.read(log, after, bounds) : undefined
      // A rebuilt index is not in the cache: a page that ends before its head would wait for a notification that was sent already.
      const isCurrent = cached?.head.offset === index.head
      const page = isCurrent ? cached : await loadPage(stream, log, index, after, bounds, deadline)
      if (page !== undefined) {
        notifier.resetNotifiedHead(log, page.head.offset)
        return page
      }
      const { seq } = index
      await indexer.refresh(log, index, deadline)
      // Otherwise another node has written meanwhile, and may have trimmed what is missing.
      if (index.seq === seq) await indexer.rebuild(log, index, seq, deadline)
      if (index.previous !== undefined) index.previous = { ...index.previous, isBroken: isSure }
      if (!isSure) await sleep(stalePauseMs)
    }
  }
}

function positionError(index: LogIndex, after: Position): MillraceError | undefined {
  if (index.epoch === undefined) return new MillraceError('session_not_found')
  if (index.epoch !== after.epoch) return new MillraceError('position_foreign')
  return after.offset > index.head ? new MillraceError('position_ahead') : undefined
}
