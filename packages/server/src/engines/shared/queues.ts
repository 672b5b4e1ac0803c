/**
 * For engines that do one thing at a time with each log: the calls of a log, one after another. What waits is bounded
 * in count and bytes, since a log that is asked for faster than its engine answers would take all memory.
 */
import { MillraceError } from '@millrace/protocol'

const countMax = 10_000
const bytesMax = 16 * 1024 * 1024

interface Queue {
  last: Promise<unknown>
  count: number
  bytes: number
}

/** Rejects with `engine_busy` where as much waits as may; one call is always taken. `bytes` is what the call holds. */
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
