/** The SQLite engine's thread: one group of requests after another, each a transaction. */
import { parentPort, workerData } from 'node:worker_threads'
import { isOfOne, toFailure } from './failures.ts'
import type { Answer, Limits, Reply, Request } from './requests.ts'
import { openStore, type Store } from './store.ts'

const { file, limits } = workerData as { file: string; limits: Limits }
let store: Store | undefined

parentPort?.on('message', (requests: readonly Request[] | 'close') => {
  if (requests === 'close') {
    store?.close()
    return process.exit(0)
  }
  parentPort?.postMessage(perform(requests))
})

function perform(requests: readonly Request[]): Reply {
  let told: string | undefined
  try {
    if (store === undefined) {
      store = openStore(file, limits)
      told = store.told
    }
    return { answers: store.perform(requests), told }
  } catch (error) {
    const failure = toFailure(error)
    if (store !== undefined && isOfOne(failure)) return { ...performEach(store, requests), told }
    return { answers: readOnly(requests), failure, told }
  }
}

/** Each in a transaction of its own: a damaged log does not take along those that were asked for beside it. */
function performEach(store: Store, requests: readonly Request[]): Reply {
  const answers: (Answer | undefined)[] = []
  for (const [index, request] of requests.entries()) {
    try {
      answers.push(...store.perform([request]))
    } catch (error) {
      const failure = toFailure(error)
      if (!isOfOne(failure)) return { answers: [...answers, ...readOnly(requests.slice(index))], failure }
      answers.push({ failure })
    }
  }
  return { answers }
}

/** Who only reads needs no room, and is not refused for what was to be written in the same group. */
function readOnly(requests: readonly Request[]): readonly (Answer | undefined)[] {
  return store?.performReads(requests) ?? []
}
