/**
 * For engines that make one call at a time for each log: what waits behind a call goes out together as the next one, so
 * that the rate of a log is not one append for each round trip. The queue of a log is bounded in count and bytes;
 * otherwise a log that gets calls faster than its engine responds would take all memory.
 */
import { MillraceError } from '@millrace/protocol'

const countMax = 10_000
const bytesMax = 16 * 1024 * 1024
/** Of one call: a script blocks Redis while it runs. */
export const groupMax = { count: 128, bytes: 512 * 1024 }

interface Waiting<Item, Result> {
  readonly item: Item
  readonly bytes: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

interface Queue<Item, Result> {
  waiting: Waiting<Item, Result>[]
  count: number
  bytes: number
}

/**
 * Makes one call for the items, in their order, and resolves with a result or an error for each; rejects where all of
 * them have failed.
 */
export type GroupCall<Item, Result> = (log: string, items: readonly Item[]) => Promise<readonly (Result | Error)[]>

/** Rejects with `engine_busy` when the queue is full; an empty queue accepts any item. `bytes` is what the item holds. */
export type InGroups<Item, Result> = (log: string, bytes: number, item: Item) => Promise<Result>

/** An item of an idle log is sent before the function returns. */
export function createGroups<Item, Result>(call: GroupCall<Item, Result>): InGroups<Item, Result> {
  const queues = new Map<string, Queue<Item, Result>>()

  return (log, bytes, item) =>
    new Promise((resolve, reject) => {
      const known = queues.get(log)
      if (known !== undefined && (known.count >= countMax || known.bytes + bytes > bytesMax))
        return reject(new MillraceError('engine_busy'))
      const queue = known ?? { waiting: [], count: 0, bytes: 0 }
      queue.waiting.push({ item, bytes, resolve, reject })
      queue.count += 1
      queue.bytes += bytes
      if (known !== undefined) return
      queues.set(log, queue)
      void sendAll(log, queue)
    })

  async function sendAll(log: string, queue: Queue<Item, Result>): Promise<void> {
    while (queue.waiting.length > 0) {
      const group = takeGroup(queue)
      await send(log, group)
      queue.count -= group.length
      for (const { bytes } of group) queue.bytes -= bytes
    }
    queues.delete(log)
  }

  async function send(log: string, group: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const items = group.map(({ item }) => item)
      const results = await call(log, items)
      for (const [index, { resolve, reject }] of group.entries()) {
        const result = results[index] as Result | Error
        if (result instanceof Error) reject(result)
        else resolve(result)
      }
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
}

/** The first items that fit in one call, at least one. */
function takeGroup<Item, Result>({ waiting }: Queue<Item, Result>): Waiting<Item, Result>[] {
  let count = 1
  for (let bytes = waiting[0]?.bytes ?? 0; count < Math.min(waiting.length, groupMax.count); count++) {
    bytes += waiting[count]?.bytes ?? 0
    if (bytes > groupMax.bytes) break
  }
  return waiting.splice(0, count)
}
