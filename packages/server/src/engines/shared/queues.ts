/**
 * For engines that do one thing at a time with each log: runs the calls of a log one after another. The queue of a log
 * is bounded in count and bytes; otherwise a log that gets calls faster than its engine responds would take all memory.
 */
import { MillraceError } from '@millrace/protocol'

const countMax = 10_000
const bytesMax = 16 * 1024 * 1024

interface Queue {
  last: Promise<unknown>
  count: number
  bytes: number
}

/** Rejects with `engine_busy` when the queue is full; an empty queue accepts any call. `bytes` is what the call holds. */
export type InTurn = <T>(log: string, bytes: number, act: () => Promise<T>) => Promise<T>

export function createQueues(): InTurn {
  const queues = new Map<string, Queue>()

  return async (log, bytes, act) => {
    const known = queues.get(log)
    if (known !== undefined && (known.count >= countMax || known.bytes + bytes > bytesMax)) throw new MillraceError('engine_busy')
    const mine = known === undefined ? act() : after(known.last, act)
    const queue = known ?? { last: mine, count: 0, bytes: 0 }
    queues.set(log, queue)
    Object.assign(queue, { last: mine, count: queue.count + 1, bytes: queue.bytes + bytes })
    try {
      return await mine
    } finally {
      queue.count -= 1
      queue.bytes -= bytes
      if (queue.count === 0) queues.delete(log)
    }
  }
}

async function after<T>(before: Promise<unknown>, act: () => Promise<T>): Promise<T> {
  await before.catch(() => {})
  return act()
}
