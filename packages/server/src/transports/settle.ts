/** Before a server closes: its readers are given what stands in their logs, in bounded time. */
import { setTimeout } from 'node:timers/promises'
import type { Cursor } from '../delivery/cursor.ts'
import type { Engine } from '../log/log.ts'

const pollMs = 10

/**
 * Resolves when every reader that takes bytes has been given what its log holds now, and at the latest when the signal aborts.
 * Each log is looked at once, however many read it, and what is written meanwhile is not waited for. Rejects as `Engine.inspect`.
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
