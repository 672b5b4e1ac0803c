/**
 * Checkpoints of the write-ahead log in a thread of their own. SQLite makes one at the end of a commit, and every append
 * then waits for the disk, 20 ms for each 16 MiB. So another connection copies the log into the file first. What was
 * committed meanwhile is copied by the engine's thread, because the log starts from its beginning again only when all of
 * it is in the file.
 */
import type { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'

/** Appended from one checkpoint to the next: about as much is in the log then. SQLite's own comes much later. */
export const bytesBetween = 24 * 1024 * 1024
/** Appended until the other thread is waited for. */
const bytesMax = 3 * bytesBetween
/** For a disk that does not respond. */
const waitMsMax = 10_000

const idle = 0
const copying = 1
const copied = 2

/** What the thread is given. `state` has one number. */
export interface Copying {
  readonly file: string
  readonly state: Int32Array
}

export function finishCopying(state: Int32Array): void {
  Atomics.store(state, 0, copied)
  Atomics.notify(state, 0)
}

export class Checkpoints {
  readonly #file: string
  readonly #database: DatabaseSync
  readonly #state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  #bytes = 0

  constructor(file: string, database: DatabaseSync) {
    this.#file = file
    this.#database = database
  }

  /** After a commit of events with so many bytes. */
  noteCommit(bytes: number): void {
    this.#bytes += bytes
    // Otherwise the log would grow for as long as the disk takes.
    if (this.#bytes >= bytesMax) this.settle()
    const state = Atomics.load(this.#state, 0)
    if (state === copied) this.#copy('PASSIVE')
    else if (state === idle && this.#bytes >= bytesBetween) this.#start()
  }

  /** Copies all of the log, and leaves nothing in it. */
  truncate(): void {
    this.settle()
    this.#copy('TRUNCATE')
  }

  /** Waits until this connection is the only one. */
  settle(): void {
    Atomics.wait(this.#state, 0, copying, waitMsMax)
  }

  #start(): void {
    const isSource = import.meta.url.endsWith('.ts')
    Atomics.store(this.#state, 0, copying)
    try {
      const worker = new Worker(new URL(isSource ? './checkpoint.ts' : './checkpoint.js', import.meta.url), {
        workerData: { file: this.#file, state: this.#state } satisfies Copying,
        execArgv: ['--disable-warning=ExperimentalWarning'],
      })
      worker.unref()
      worker.once('error', () => finishCopying(this.#state))
    } catch {
      // There can be no more threads.
      finishCopying(this.#state)
    }
  }

  #copy(mode: 'PASSIVE' | 'TRUNCATE'): void {
    // Not where the other thread is still at it: it sets the state.
    Atomics.compareExchange(this.#state, 0, copied, idle)
    this.#bytes = 0
    try {
      this.#database.exec(`PRAGMA wal_checkpoint(${mode})`)
    } catch {
      // A full disk; what is committed stays in the log, and the next checkpoint copies it.
    }
  }
}
