/**
 * The SQLite engine: logs in one file, which survives the process. The database works in a thread of its own.
 * "Acknowledged" means committed, see `durability`.
 */
import type { Engine } from '../../log/log.ts'
import { SqliteLogs } from './logs.ts'

export interface SqliteEngineOptions {
  /** The folder of `millrace.db` and the files beside it, created when it does not exist. One server per folder. */
  readonly folder: string
  /**
   * What an acknowledged event survives. `process`, the default: the end of this process, however it ends.
   * `disk`: also a power loss, at the cost of a flush to the disk per group.
   */
  readonly durability?: 'process' | 'disk'
  /** Bytes kept per log, however many events that is, 100 for each event beside its data; default 64 MiB. */
  readonly bytesMax?: number
  /**
   * Bytes kept in all logs together, counted in the same way; for more, logs without readers are deleted, the one with
   * the oldest last append first. What still does not fit is rejected with `log_full`. Default: the space of the disk.
   */
  readonly totalBytesMax?: number
  /** Age up to which an event is kept; a log without events or appends for this time is deleted. Default 30 days. */
  readonly ageMsMax?: number
  /** How long a call waits for a disk that does not respond, in milliseconds; default 10,000. */
  readonly timeoutMs?: number
  /** Called with a message when logs may have lost acknowledged events and get new epochs; default writes to standard error. */
  readonly onLoss?: (warning: string) => void
}

const dayMs = 24 * 60 * 60 * 1000

/** Logs in a folder of this machine, for one server. Calls reject with `engine_failed` where the folder cannot be used. */
export function sqliteEngine({ folder, durability = 'process', timeoutMs = 10_000, ...options }: SqliteEngineOptions): Engine {
  const logs = new SqliteLogs({
    folder,
    timeoutMs,
    onLoss: options.onLoss ?? ((warning) => console.error('millrace:', warning)),
    limits: {
      bytesMax: options.bytesMax ?? 64 * 1024 * 1024,
      ageMsMax: options.ageMsMax ?? 30 * dayMs,
      totalBytesMax: options.totalBytesMax ?? Number.POSITIVE_INFINITY,
      isDurableOnDisk: durability === 'disk',
    },
  })
  return {
    isDurable: true,
    append: (log, events, appendOptions) => logs.append(log, events, appendOptions),
    read: (log, after, readOptions) => logs.read(log, after, readOptions),
    peek: (log, after, readOptions) => logs.peek(log, after, readOptions),
    inspect: (log) => logs.inspect(log),
    list: (prefix, after) => logs.list(prefix, after),
    watch: (log, bell) => logs.watch(log, bell),
    compact: (log) => logs.compact(log),
    delete: (log) => logs.delete(log),
    close: () => logs.close(),
  }
}
