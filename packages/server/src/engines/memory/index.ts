/**
 * The memory engine: logs in this process, for tests and for programs that need no more. An acknowledged event survives
 * nothing: a restart loses every log, and readers notice it by the new epochs.
 *
 * A byte of its limits is about one byte of the process's memory: an event counts as its data would take as JSON, plus
 * 100 for the event itself.
 */
import { MillraceError } from '@millrace/protocol'
import type { Engine } from '../../log/log.ts'
import { pageOfNames } from '../shared/names.ts'
import { newId } from '../shared/new-epoch.ts'
import { readBounds } from '../shared/read-bounds.ts'
import { Watchers } from '../shared/watchers.ts'
import { MemoryLogs } from './logs.ts'

export interface MemoryEngineOptions {
  /** Bytes kept per log, however many events that is, counted as above; default 64 MiB. */
  readonly bytesMax?: number
  /** Age up to which an event is kept; a log without events or appends for this time is deleted. Default 24 h. */
  readonly ageMsMax?: number
  /**
   * Logs kept; for one more, a log that has no reader is deleted: the oldest that never had an event, or else the one
   * with the oldest last append. Default 10,000.
   */
  readonly logsMax?: number
  /**
   * Bytes kept in all logs together, counted in the same way; for more, logs without readers are deleted, the one with
   * the oldest last append first. What still does not fit is rejected with `log_full`. Default 1 GiB.
   */
  readonly totalBytesMax?: number
  /** Logs for which it is true are not deleted by age or for space, as if they had a reader; default none. */
  readonly isPinned?: (log: string) => boolean
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
  /** Creates epochs; default random. */
  readonly epoch?: () => string
}

const dayMs = 24 * 60 * 60 * 1000

/** Logs in the memory of this process, and for this process alone: they end with it. */
export function memoryEngine(options: MemoryEngineOptions = {}): Engine {
  const { now = Date.now, epoch: newEpoch = newId, ageMsMax = dayMs } = options
  const watchers = new Watchers()
  const logs = new MemoryLogs({
    limits: {
      bytesMax: options.bytesMax ?? 64 * 1024 * 1024,
      logsMax: options.logsMax ?? 10_000,
      totalBytesMax: options.totalBytesMax ?? 1024 * 1024 * 1024,
      ageMsMax,
    },
    newEpoch,
    watchers,
    isPinned: options.isPinned ?? (() => false),
  })
  let isClosed = false
  const sweeper = setInterval(() => logs.sweep(now()), Math.min(60_000, Math.max(10, ageMsMax / 4)))
  sweeper.unref()

  return {
    async append(name, events, appendOptions = {}) {
      assertOpen()
      return logs.append(name, events, appendOptions, now())
    },
    async read(name, after, readOptions) {
      assertOpen()
      const log = logs.find(name, now())
      if (log === undefined) throw new MillraceError('session_not_found')
      return log.read(after, readBounds(readOptions))
    },
    peek(name, after, readOptions) {
      const log = logs.find(name, now())
      return log?.epoch === after.epoch && after.offset < log.head ? log.read(after, readBounds(readOptions)) : undefined
    },
    async inspect(name) {
      assertOpen()
      return logs.find(name, now())?.state
    },
    async list(prefix, after) {
      assertOpen()
      return pageOfNames(logs.names, prefix, after)
    },
    watch: (name, bell) => watchers.watch(name, bell),
    async delete(name) {
      assertOpen()
      return logs.delete(name)
    },
    async close() {
      isClosed = true
      clearInterval(sweeper)
      logs.clear()
      watchers.clear()
    },
  }

  function assertOpen(): void {
    if (isClosed) throw new MillraceError('server_stopping')
  }
}
