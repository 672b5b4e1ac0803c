/**
 * Checkpoints of the write-ahead log in a thread of their own. SQLite makes one at the end of a commit, and every append
 * then waits for the disk, 20 ms for each 16 MiB. So another connection copies the log into the file first. What was
 * committed meanwhile is copied by the engine's thread, because the log starts from its beginning again only when all of
 * it is in the file.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { startThread } from './start-thread.ts'

/** In the log from one checkpoint to the next. SQLite's own comes much later. */
export const bytesBetween = 16 * 1024 * 1024
/** SQLite does not say how long the log is. A commit takes some pages more than its events: measured, about three. */
export const bytesPerCommit = 3 * 4096
/** Committed from a checkpoint that failed to the next. */
const bytesToRetry = 1024 * 1024
/** In the log until the other thread is waited for. */
const bytesMax = 3 * bytesBetween
/** From one checkpoint of a full disk to the next. */
const fullMs = 1000
/** For a disk that does not respond. */
const waitMsMax = 10_000

/**
 * In an earlier SQLite, such as that of Node 22.19, a checkpoint beside a commit may leave out, and so lose, what other
 * commits wrote: https://sqlite.org/wal.html#walresetbug. The engine's thread makes all of them there.
 */
const versionMin = '3.51.3'

/** The thread ends after this time without a checkpoint. */
const restMsMax = 60_000

/** There is no other thread. */
const none = 0
const waiting = 1
const copying = 2
const copied = 3

/** What the thread is given. `state` has one number. */
export interface Copying {
  readonly file: string
  readonly state: Int32Array
}

/** The thread's side: copies at once, and again each time the state says so. */
export function serveCheckpoints(state: Int32Array, copy: () => void): void {
  for (;;) {
    try {
      copy()
    } catch {
      // Such as a full disk: the engine's thread tries it as well, and rejects what it has no room for.
    }
    Atomics.store(state, 0, copied)
    Atomics.notify(state, 0)
    for (let now = copied; now !== copying; now = Atomics.load(state, 0)) {
      const isOver = Atomics.wait(state, 0, now, restMsMax) === 'timed-out'
      if (isOver && Atomics.compareExchange(state, 0, waiting, none) === waiting) return
    }
  }
}

export class Checkpoints {
  readonly #file: string
  readonly #database: DatabaseSync
  readonly #mayHaveThread: boolean
  readonly #state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  #worker: Worker | undefined
  #bytes = 0
  #fullAt = Number.NEGATIVE_INFINITY
  #isTruncateDue = false

  constructor(file: string, database: DatabaseSync, version = versionOf(database)) {
    this.#file = file
    this.#database = database
    this.#mayHaveThread = version.localeCompare(versionMin, 'en', { numeric: true }) >= 0
  }

  /** After a commit of events with so many bytes. */
  noteCommit(bytes: number): void {
    this.#bytes += bytesPerCommit + bytes
    // Otherwise the log would grow for as long as the disk takes.
    if (this.#bytes >= bytesMax) this.settle()
    const state = Atomics.load(this.#state, 0)
    if (state === copied) this.#copy('PASSIVE')
    else if (state !== copying && this.#bytes >= bytesBetween) this.#start()
  }

  /** There was no room for a commit. A checkpoint makes room in the log, where the file has some. */
  noteFull(): void {
    const now = performance.now()
    if (now - this.#fullAt < fullMs) return
    this.#fullAt = now
    Atomics.compareExchange(this.#state, 0, copied, waiting)
    if (Atomics.load(this.#state, 0) !== copying) this.#start()
  }

  /** Copies all of the log, and leaves nothing in it. */
  truncate(): void {
    this.settle()
    this.#isTruncateDue = !this.#copy('TRUNCATE')
  }

  /** Where `truncate` could not: another program was reading the file, or the disk was full. */
  truncateAgain(): void {
    if (this.#isTruncateDue) this.truncate()
  }

  /** Waits until this connection is the only one. */
  settle(): void {
    Atomics.wait(this.#state, 0, copying, waitMsMax)
  }

  #start(): void {
    if (!this.#mayHaveThread) return void this.#copy('PASSIVE')
    if (Atomics.compareExchange(this.#state, 0, waiting, copying) === waiting) return void Atomics.notify(this.#state, 0)
    Atomics.store(this.#state, 0, copying)
    try {
      const worker = startThread('checkpoint', { file: this.#file, state: this.#state } satisfies Copying)
      this.#worker = worker
      worker.once('error', () => {})
      worker.once('exit', () => {
        // Where it ended by itself, there may be another one already.
        if (this.#worker === worker && Atomics.load(this.#state, 0) !== none) this.#onFailure()
      })
    } catch {
      this.#onFailure()
    }
  }

  /** There can be no thread, or it was ended: SQLite makes its own checkpoints then. */
  #onFailure(): void {
    this.#bytes = bytesBetween - bytesToRetry
    Atomics.store(this.#state, 0, none)
    Atomics.notify(this.#state, 0)
  }

  /** Whether nothing prevented it. */
  #copy(mode: 'PASSIVE' | 'TRUNCATE'): boolean {
    // Not where the other thread is still at it: it sets the state.
    Atomics.compareExchange(this.#state, 0, copied, waiting)
    try {
      const { busy } = this.#database.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as { busy: number }
      this.#bytes = 0
      return busy === 0
    } catch {
      // A full disk; what is committed stays in the log, and the next checkpoint copies it.
      this.#bytes = bytesBetween - bytesToRetry
      return false
    }
  }
}

function versionOf(database: DatabaseSync): string {
  const { version } = database.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  return version
}
