/** The thread of the SQLite engine: performs one group of requests after another, all writes or all reads. */
import { parentPort, workerData } from 'node:worker_threads'
import { isOfOne, toFailure } from './failures.ts'
import { fromMessage, type RequestMessage, toAnswerMessage } from './messages.ts'
import type { Answer, Limits, Reply, Request } from './requests.ts'
import { Store } from './store.ts'

const { file, limits } = workerData as { file: string; limits: Limits }
let store: Store | undefined

parentPort?.on('message', (group: readonly RequestMessage[] | 'close') => {
  if (group === 'close') {
    store?.close()
    return process.exit(0)
  }
  const { answers, ...reply } = perform(group.map(fromMessage))
  parentPort?.postMessage({ ...reply, answers: answers.map(toAnswerMessage) })
})

function perform(requests: readonly Request[]): Reply {
  let warning: string | undefined
  try {
    if (store === undefined) {
      store = new Store(file, limits)
      warning = store.warning
    }
    return { answers: store.perform(requests), warning }
  } catch (error) {
    const failure = toFailure(error)
    if (store !== undefined && isOfOne(failure)) return { ...performEach(store, requests), warning }
    return { answers: [], failure, warning }
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
