/** Lets readers catch up with their logs before a server closes, in bounded time. */
import { setTimeout } from 'node:timers/promises'
import type { Cursor } from '../delivery/cursor.ts'
import type { Engine } from '../log/log.ts'

const pollMs = 10

/**
 * Resolves when every reader that is not blocked has the events that its log holds now, at the latest when the signal aborts.
 * Each log is inspected once; later appends are not waited for. Rejects as `Engine.inspect` does.
 */
export async function settle(engine: Engine, cursors: Iterable<Cursor>, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }))
  const byLog = Map.groupBy(cursors, ({ log }) => log)
  for (const [log, readers] of byLog) {
    if (signal.aborted) return
    const state = await Promise.race([engine.inspect(log), aborted])
    if (state === undefined) continue
    const isDone = ({ closed, blocked, offset }: Cursor) => closed || blocked || offset >= state.head.offset
    while (!signal.aborted && !readers.every(isDone)) await setTimeout(pollMs)
  }
}
