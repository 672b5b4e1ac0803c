/**
 * The log: the one idea of Millrace, and the contract of every engine. Read this first.
 *
 * A log is an append-only sequence of events under a name. The first event has offset 1, and the
 * offsets are dense. A position is the log's epoch and the offset of the last event seen, so
 * `{ epoch, offset: 0 }` is before the first. What a reader is shown comes from `read` and from
 * nowhere else; every transport, dialect and tab is a cursor over a log.
 *
 * Why the epoch: a log had events 1…50 and is lost; its successor has 1…60. A reader at 50 asks
 * for more. By offset alone it would be given 51…60 and never learn that its first fifty are not
 * the log's first fifty. With the epoch it is told `position_foreign`.
 *
 * An engine MUST
 *  - append a batch completely or not at all, and resolve only when it would survive what the engine promises to survive;
 *  - where an append is rejected and still enters the log, let it do so before any later append to that log through the
 *    same engine is acknowledged, or never: whoever tries again finds out by another append whether it is there;
 *  - never return from `read` what has not been acknowledged so, nor change or reorder what was once returned;
 *  - draw a new epoch whenever it creates a log, also one of a name that existed before;
 *  - say in its options what an acknowledged event survives, and give a log that may have lost one a new epoch before
 *    anybody reads it or appends to it. What is lost cannot tell of itself, so an engine holds what it finds against
 *    something that is not lost with it, whenever its store may have been restarted or replaced: a count beside the file
 *    (SQLite), the heads that living servers have seen (Redis), batches that each name the one before (NATS). Where
 *    nothing can vouch for a log, it has a new epoch;
 *  - never let an event's time go back within a log, whatever its clock does, also once retention has taken every event;
 *  - show by `inspect` whatever was acknowledged before it was called, by any node; `read` shows what other nodes have
 *    appended with its bell at the latest, and before that up to the last `inspect`;
 *  - ring every bell of a log after an append to it has become readable; one ring may stand for many appends;
 *  - bound what it keeps of a log by bytes and age, never by a count of events that its writer did not ask for with `keep`,
 *    and say so by `gap`: a hole is never silent;
 *  - where it bounds all logs together and can give nothing up, reject an append with `log_full` and leave all as it was;
 *  - reject with `log_damaged` what it finds to be other than was written, and let `delete` take such a log;
 *  - reject with a MillraceError, never with a bare one; and answer or reject every call in bounded time.
 * An engine MUST NOT
 *  - hand data to a bell, call a bell inside `append` before it has resolved its storage, or after `unwatch`;
 *  - look into an event's data, or keep a reference that it lets others change.
 *
 * Checked by `conformance/src/engine`, which runs unchanged over every engine.
 */
import type { Json, Position } from '@millrace/protocol'

/** What an event carries: JSON, or bytes. */
export type EventData = Json | Uint8Array

export interface NewEvent {
  readonly type: string
  /** MUST NOT be changed after it was appended: engines and encoders share it. */
  readonly data: EventData
}

export interface LogEvent extends NewEvent {
  readonly offset: number
  /** Milliseconds since 1970 when the engine took it; never goes back within a log. */
  readonly time: number
}

export interface AppendOptions {
  /** Append only to this incarnation of the log; otherwise reject with `position_foreign` (also when the log is gone). */
  readonly epoch?: string
  /** At most one batch with this key enters the log; a later one answers `duplicate` with the first one's position. */
  readonly key?: string
  /** Reject with `fenced`, and append nothing, where a batch with this key is in the log: somebody has ended what this writer goes on with. */
  readonly unless?: string
  /**
   * Append only where the log's head has this offset, 0 also where there is no log; otherwise reject with `head_moved`,
   * whose `position` is the head. A batch whose key is in the log is a duplicate before that is looked at.
   */
  readonly expect?: number
  /** Of the log, only the newest so many events need to be kept after this append; those before them are gone as by retention. */
  readonly keep?: number
}

export interface Appended {
  /** Of the last event of the batch; of the log's head for an empty batch. */
  readonly position: Position
  /** True when the key had been used: nothing was appended. */
  readonly duplicate: boolean
}

export interface ReadOptions {
  /** At most so many events; default 512. */
  readonly eventsMax?: number
  /** Stop after so many bytes of data, yet give at least one event; default 262,144. */
  readonly bytesMax?: number
}

export interface Page {
  readonly events: readonly LogEvent[]
  /** Where to read on from: the last event's position, or where the reader already was. */
  readonly position: Position
  /** The log's last position when the page was read. A bell MUST ring later for whatever comes behind it. */
  readonly head: Position
  /** Events after `from` up to and including `to` are gone by retention; `events` begins after `to`. */
  readonly gap?: { readonly from: Position; readonly to: Position }
}

export interface LogState {
  /** Position before the oldest event kept. */
  readonly start: Position
  readonly head: Position
}

export interface Engine {
  /** Logs may hold what an earlier process wrote; absent means that they never do. */
  readonly isDurable?: boolean
  /** Other processes may append to the same logs; absent means that they never do. */
  readonly isShared?: boolean
  /** Appends to a log, which is created where it does not exist; an empty batch only creates. */
  append(log: string, events: readonly NewEvent[], options?: AppendOptions): Promise<Appended>
  /**
   * Events after a position. Rejects with `session_not_found` (no such log), `position_foreign`
   * (another epoch) or `position_ahead` (an offset the log has not reached).
   */
  read(log: string, after: Position, options?: ReadOptions): Promise<Page>
  /** Undefined where there is no such log. */
  inspect(log: string): Promise<LogState | undefined>
  /**
   * Names of logs that begin with `prefix`, those behind `after` in the order of their code points; at most 1,000, and
   * fewer only where there are no more. A log that is there during a whole walk by pages is in exactly one of them.
   */
  list(prefix: string, after?: string): Promise<readonly string[]>
  /** Calls `bell` after appends and after the log's end (deleted, expired) until the returned function is called. */
  watch(log: string, bell: () => void): () => void
  /**
   * Says that a log is at rest, and may be kept in less room. Positions, keys and what is read stay as they are; an
   * engine without it keeps every event as it came.
   */
  compact?(log: string): Promise<void>
  /** False where there was no such log. */
  delete(log: string): Promise<boolean>
  /** Releases what the engine holds; later calls reject with `server_stopping`. */
  close(): Promise<void>
}
