/**
 * `millrace start --workers`: as many servers as processes, behind one port. They are one by their engine, as servers
 * on several machines are: each reads what the others write, and the runs of one that dies are ended by another.
 */
import cluster, { type Worker } from 'node:cluster'
import type { Ready, Served } from './serve.ts'

/** One that died sooner after its start is not replaced before this time, in milliseconds. */
const replaceMsMin = 1000

export interface Workers {
  /** Of the first that is ready; rejects where one ends before it is. */
  readonly ready: Promise<Ready>
  /** Ends all of them; a worker ends its runs as it would on a signal. */
  close(signal: NodeJS.Signals): Promise<void>
}

/** The process that the workers belong to: it takes their places when they die, and serves nobody itself. */
export function startWorkers(count: number, onDeath: (text: string) => void): Workers {
  const { promise: ready, resolve, reject } = Promise.withResolvers<Ready>()
  let isClosing = false
  let awaited = count

  for (let index = 0; index < count; index++) start(index, true)

  function start(index: number, isFirst: boolean): void {
    if (isClosing) return
    const startedAt = performance.now()
    const worker = cluster.fork()
    let isReady = false
    worker.on('message', (said: Ready) => {
      isReady = true
      if (isFirst && --awaited === 0) resolve(said)
    })
    worker.once('exit', (code, signal) => {
      if (isClosing) return
      // It has said why itself.
      if (isFirst && !isReady) return reject(new Error(`A worker ended before it was ready (${signal ?? code}).`))
      onDeath(`Worker ${index + 1} ended (${signal ?? code}); another one takes its place.`)
      const delay = Math.max(0, replaceMsMin - (performance.now() - startedAt))
      setTimeout(() => start(index, false), delay)
    })
  }

  return {
    ready,
    async close(signal) {
      isClosing = true
      await Promise.all(Object.values(cluster.workers ?? {}).map((worker) => end(worker as Worker, signal)))
    },
  }
}

function end(worker: Worker, signal: NodeJS.Signals): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  worker.once('exit', () => resolve())
  if (worker.isDead()) resolve()
  // Not as a signal: a terminal sends its own to all of them, and a second one would end them at once.
  else worker.send(signal)
  return promise
}

export interface Stops {
  readonly stop: (signal: NodeJS.Signals) => void
  /** Ends at once where it has been told to stop before. */
  readonly stopOrEnd: (signal: NodeJS.Signals) => void
}

/** In a worker: says that it is ready, and ends when it is told to, or when the process it belongs to is gone. */
export function follow({ ready }: Pick<Served, 'ready'>, { stop, stopOrEnd }: Stops): void {
  process.on('message', (signal: NodeJS.Signals) => stop(signal))
  process.once('disconnect', () => stopOrEnd('SIGTERM'))
  process.send?.(ready)
}
