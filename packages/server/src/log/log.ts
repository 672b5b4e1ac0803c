/**
 * The log: the one idea of Millrace, and the contract of every engine. Read this first.
 *
 * A log is an append-only sequence of events under a name. The first event has offset 1, and offsets have no holes. A
 * position is the log's epoch and the offset of the last event seen, so `{ epoch, offset: 0 }` is before the first.
 * Readers get only what `read` returns; every transport, dialect and tab is a cursor over a log.
 *
 * Why the epoch: a log had events 1…50 and is lost; its successor has 1…60. A reader at 50 asks for more. By offset
 * alone it would get 51…60, and never learn that its first fifty are not the log's first fifty. With the epoch it gets
 * `position_foreign`.
 *
 * Appends. An engine MUST
 *  - append a batch completely or not at all, and resolve only when the batch survives what the engine's options promise;
 *  - let a batch whose append was rejected enter the log either before it acknowledges a later append to that log, or
 *    never: a caller finds out by a second append whether the first one is in the log;
 *  - assign times that never decrease within a log, whatever its clock does, also when retention has removed every event;
 *  - reject an append with `log_full`, and change nothing, where it bounds all logs together and can evict none.
 *
 * Reads. `inspect` is linearizable: it includes every append acknowledged before the call, by any node. `read` is
 * monotonic: it includes other nodes' appends at the latest when their notification fires, and all that the last
 * `inspect` included. An engine MUST
 *  - return from `read` only acknowledged events, and never change or reorder what it has returned once;
 *  - call every bell of a log after an append has become readable; one call may stand for several appends;
 *  - report removed events with `gap`: a hole is never silent;
 *  - bound a log by bytes and age, never by a count of events that its writer did not ask for with `keep`.
 *
 * Losses. An engine MUST
 *  - create every log with a new epoch, also under a name that existed before;
 *  - document what an acknowledged event survives, and give a log that may have lost one a new epoch before its next read
 *    or append. A store cannot report what it has lost, so whenever it may have been restarted or replaced the engine
 *    compares it with a record that is not lost with it: a count beside the file (SQLite), the heads that running servers
 *    have seen (Redis), batches that name their predecessor (NATS). A log that cannot be verified gets a new epoch;
 *  - reject with `log_damaged` when stored data differs from what was written, and let `delete` remove such a log;
 *  - reject only with a MillraceError, and settle every call in bounded time.
 *
 * An engine MUST NOT
 *  - pass data to a bell, call a bell before the append is stored, or call it after `unwatch`;
 *  - inspect an event's data, or share it with code that may change it.
 *
 * `conformance/src/engine` checks this contract, unchanged for every engine.
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
  /** Its number in the log, from 1, without gaps. */
  readonly offset: number
  /** Milliseconds since 1970 when the engine stored it; never decreases within a log. */
  readonly time: number
}

export interface AppendOptions {
  /** Append only to the log of this epoch; otherwise reject with `position_foreign`, also when there is no log. */
  readonly epoch?: string
  /** At most one batch with this key enters the log; a later one resolves as `duplicate` with the first one's position. */
  readonly key?: string
  /** A fence: reject with `fenced`, and append nothing, when the log has a batch with this key. */
  readonly unless?: string
  /**
   * Append only when the log's head has this offset, 0 also when there is no log; otherwise reject with `head_moved`,
   * whose `position` is the head. `key` is checked first: a duplicate resolves whatever the head.
   */
  readonly expect?: number
  /** Only this number of the newest events must be kept after the append; retention may remove the ones before. */
  readonly keep?: number
}

export interface Appended {
  /** Of the last event of the batch; of the log's head for an empty batch. */
  readonly position: Position
  /** True when the key had been used: nothing was appended. */
  readonly duplicate: boolean
}

export interface ReadOptions {
  /** Events in the page; default 512. */
  readonly eventsMax?: number
  /** Bytes of data after which the page ends; it has at least one event. Default 262,144. */
  readonly bytesMax?: number
}

export interface Page {
  readonly events: readonly LogEvent[]
  /** Where the next read starts: the last event's position, or the reader's own where the page is empty. */
  readonly position: Position
  /** The log's last position when the page was read. A bell MUST be called for every event after it. */
  readonly head: Position
  /** Retention has removed the events after `from` up to and including `to`; `events` begins after `to`. */
  readonly gap?: { readonly from: Position; readonly to: Position }
}

export interface LogState {
  /** Position before the oldest event kept. */
  readonly start: Position
  readonly head: Position
}

/**
 * Messages between the nodes that share an engine. They are not stored: a message reaches the nodes that are subscribed
 * and connected when it is published, and no other. An engine with this power MUST
 *  - deliver a message at most once to each callback, and the messages of one node in the order of their `publish` calls;
 *  - deliver to every callback of the topic on every node, the publishing node included, after `subscribe` has resolved;
 *  - deliver nothing after the function that `subscribe` returned was called, and nothing from another topic;
 *  - reject `publish` and `subscribe` with a MillraceError, in bounded time, when the message or subscription cannot be sent.
 * `engines/memory/ephemeral.ts` builds the logs of presence and typing on it.
 */
export interface Broadcast {
  publish(topic: string, message: string): Promise<void>
  subscribe(topic: string, onMessage: (message: string) => void): Promise<() => void>
}

/**
 * Counts that the servers of an engine share, for limits. They are no events: a count MAY be lost, and then begins again. An
 * engine with this power MUST count atomically, once for each call unless its connection is lost meanwhile, and reject with a
 * MillraceError within a second where it cannot tell.
 */
export interface Counters {
  /** Adds to a count, which begins again `windowMs` after its first addition. Resolves with the sum, and the time left. */
  add(key: string, amount: number, windowMs: number): Promise<{ readonly sum: number; readonly leftMs: number }>
  /** Takes one of `max` places for `ms` milliseconds, or keeps it as long; false where others hold all of them. */
  hold(key: string, holder: string, max: number, ms: number): Promise<boolean>
  release(key: string, holder: string): Promise<void>
}

export interface Engine {
  /** Logs may hold what an earlier process wrote; absent means that they never do. */
  readonly isDurable?: boolean
  /** Other processes may append to the same logs; absent means that they never do. */
  readonly isShared?: boolean
  /**
   * Each append costs a call to a store that all writers share: a run whose append had to wait behind others SHOULD pause,
   * so that its next batch is larger. Absent means that an append SHOULD follow the last one at once.
   */
  readonly wantsPacing?: boolean
  /** Absent when the engine has no other nodes, or cannot send them messages. */
  readonly broadcast?: Broadcast
  /** Absent when the engine has no other nodes, or cannot count for them: each then counts by itself. */
  readonly counters?: Counters
  /** Appends to a log, and creates it where there is none; an empty batch only creates. */
  append(log: string, events: readonly NewEvent[], options?: AppendOptions): Promise<Appended>
  /**
   * Events after a position. Rejects with `session_not_found` (no such log), `position_foreign`
   * (another epoch) or `position_ahead` (an offset the log has not reached).
   */
  read(log: string, after: Position, options?: ReadOptions): Promise<Page>
  /**
   * What `read` would return now, where this process can tell without waiting: for events that it has just appended.
   * Undefined otherwise, and when there is no event after the position. An engine without it is always read.
   */
  peek?(log: string, after: Position, options?: ReadOptions): Page | undefined
  /** Undefined when there is no such log. */
  inspect(log: string): Promise<LogState | undefined>
  /**
   * Names of the logs that begin with `prefix`, after the name `after`, in the order of their code points. A page has
   * 1,000 names, and fewer only when there are no more. A log that exists during a whole walk is in exactly one page.
   */
  list(prefix: string, after?: string): Promise<readonly string[]>
  /** Calls `bell` after appends and after the log's end (deleted, expired) until the returned function is called. */
  watch(log: string, bell: () => void): () => void
  /**
   * The log is at rest and may be packed into less space. Positions, keys and reads stay the same. An engine without it
   * stores every event as it was appended.
   */
  compact?(log: string): Promise<void>
  /** False when there was no such log. */
  delete(log: string): Promise<boolean>
  /** Releases the engine's resources; later calls reject with `server_stopping`. */
  close(): Promise<void>
}
