/** A thread of the SQLite engine: performs one group of requests after another, each in a transaction. */
import { parentPort, workerData } from 'node:worker_threads'
import { isOfOne, toFailure } from './failures.ts'
import type { Answer, Limits, Reply, Request } from './requests.ts'
import { openReader, openStore, type Store } from './store.ts'

const { file, limits, isReader } = workerData as { file: string; limits: Limits; isReader: boolean }
let store: Store | undefined

parentPort?.on('message', (requests: readonly Request[] | 'close') => {
  if (requests === 'close') {
    store?.close()
    return process.exit(0)
  }
  parentPort?.postMessage(perform(requests))
})

function perform(requests: readonly Request[]): Reply {
  let warning: string | undefined
  try {
    if (store === undefined) {
      store = isReader ? openReader(file, limits) : openStore(file, limits)
      warning = store.warning
    }
    return { answers: store.perform(requests), warning }
  } catch (error) {
    const failure = toFailure(error)
    if (store !== undefined && isOfOne(failure)) return { ...performEach(store, requests), warning }
    // `open` succeeds although other requests of its group could not be written.
    const answers = requests.map(({ op }) => (op === 'open' && store !== undefined ? {} : undefined))
    return { answers, failure, warning }
  }
}

/** Each request in its own transaction: a damaged log does not fail the requests for other logs. */
function performEach(store: Store, requests: readonly Request[]): Reply {
  const answers: (Answer | undefined)[] = []
  for (const request of requests) {
    try {
      answers.push(...store.perform([request]))
    } catch (error) {
      const failure = toFailure(error)
      if (!isOfOne(failure)) return { answers, failure }
      answers.push({ failure })
    }
  }
  return { answers }
}
