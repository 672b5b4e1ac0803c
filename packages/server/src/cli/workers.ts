/**
 * `millrace start --workers`: several server processes behind one port. They share an engine, as servers on several
 * machines do: each reads what the others write, and the runs of one that dies are ended by another.
 */
import cluster, { type Worker } from 'node:cluster'
import type { Ready, Served } from './serve.ts'

/** The shortest time between two starts of one worker: one that dies at its start must not restart in a busy loop. */
const replaceMsMin = 1000

export interface Workers {
  /** Resolves when all are ready; rejects when one exits before. */
  readonly ready: Promise<Ready>
  /** Stops all of them; a worker stops as it would on the signal. */
  close(signal: NodeJS.Signals): Promise<void>
}

/** Runs in the primary process, which serves no requests itself: starts the workers and replaces those that die. */
export function startWorkers(count: number, onDeath: (text: string) => void): Workers {
  const { promise: ready, resolve, reject } = Promise.withResolvers<Ready>()
  let isClosing = false
  let notReady = count

  for (let index = 0; index < count; index++) start(index, true)

  function start(index: number, isFirst: boolean): void {
    if (isClosing) return
    const startedAt = performance.now()
    const worker = cluster.fork()
    let isReady = false
    worker.on('message', (message: Partial<Ready>) => {
      // Others are about metrics.
      if (!isReadyMessage(message)) return
      isReady = true
      if (isFirst && --notReady === 0) resolve(message)
    })
    worker.once('exit', (code, signal) => {
      if (isClosing) return
      // The worker has printed the reason.
      if (isFirst && !isReady) return reject(new Error(`A worker exited before it was ready (${signal ?? code}).`))
      onDeath(`Worker ${index + 1} exited (${signal ?? code}) and is replaced.`)
      const delay = Math.max(0, replaceMsMin - (performance.now() - startedAt))
      setTimeout(() => start(index, false), delay)
    })
  }

  return {
    ready,
    async close(signal) {
      isClosing = true
      await Promise.all(Object.values(cluster.workers ?? {}).map((worker) => stopWorker(worker as Worker, signal)))
    },
  }
}

function isReadyMessage(message: Partial<Ready>): message is Ready {
  return message.url !== undefined
}

function stopWorker(worker: Worker, signal: NodeJS.Signals): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  worker.once('exit', () => resolve())
  if (worker.isDead()) resolve()
  // As a message: a terminal signals every process of its group, and a second signal would make the worker exit at once.
  else worker.send(signal)
  return promise
}

export interface Stops {
  readonly stop: (signal: NodeJS.Signals) => void
  /** Exits at once if it is stopping already. */
  readonly stopOrExit: (signal: NodeJS.Signals) => void
}

/** Runs in a worker: reports that it is ready, and stops on a message from the primary process or when that one dies. */
export function follow({ ready }: Pick<Served, 'ready'>, { stop, stopOrExit }: Stops): void {
  process.on('message', (message) => {
    if (typeof message === 'string') stop(message as NodeJS.Signals)
  })
  process.once('disconnect', () => stopOrExit('SIGTERM'))
  process.send?.(ready)
}
