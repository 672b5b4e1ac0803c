/** The SQLite engine's thread: one group of requests after another, each a transaction. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Answer, Failure, Limits, Reply, Request } from './requests.ts'
import { openStore, type Store } from './store.ts'

const { file, limits } = workerData as { file: string; limits: Limits }
let store: Store | undefined

/**
 * By SQLite's result codes, the extended before the primary: https://sqlite.org/rescode.html. An I/O error is nearly
 * always a full disk, unless it comes of reading, writing or flushing: a write that lacks room is 13.
 */
const failures: Readonly<Record<number, Failure['kind']>> = {
  5: 'busy',
  10: 'full',
  11: 'damaged',
  13: 'full',
  26: 'damaged',
  266: 'broken',
  522: 'broken',
  778: 'broken',
  1034: 'broken',
  1290: 'broken',
}

parentPort?.on('message', (requests: readonly Request[] | 'close') => {
  if (requests === 'close') {
    store?.close()
    return process.exit(0)
  }
  parentPort?.postMessage(perform(requests))
})

function perform(requests: readonly Request[]): Reply {
  try {
    store ??= openStore(file, limits)
    return { answers: store.perform(requests) }
  } catch (error) {
    const { message, errcode = 0 } = error as Error & { errcode?: number }
    const kind = failures[errcode] ?? failures[errcode & 0xff] ?? 'internal'
    return { answers: readOnly(requests), failure: { kind, message } }
  }
}

/** Who only reads needs no room, and is not refused for what was to be written in the same group. */
function readOnly(requests: readonly Request[]): readonly (Answer | undefined)[] {
  try {
    return store?.performReads(requests) ?? []
  } catch {
    return []
  }
}
