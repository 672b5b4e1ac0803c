/** Logs whose last event is all that counts: it is read, and replaced where nobody else has replaced it. */
import type { MillraceError, Position } from '@millrace/protocol'
import type { Engine, LogEvent, NewEvent } from '../../../log/log.ts'
import { retryChange } from '../stream-log.ts'

export interface Last {
  readonly head: Position
  readonly event: LogEvent
}

/** Retention removes events by their age: one that must stay is written again when it is as old. */
export const rewriteMs = 60 * 60_000

const missing = new Set<unknown>(['session_not_found', 'position_foreign', 'position_ahead', 'position_expired'])

/** Undefined where there is none. */
export async function readLast(engine: Engine, log: string): Promise<Last | undefined> {
  const { found } = await retryChange(async () => {
    const head = (await engine.inspect(log))?.head
    if (head === undefined || head.offset === 0) return { found: undefined }
    try {
      const { events } = await engine.read(log, { ...head, offset: head.offset - 1 }, { eventsMax: 1 })
      const [event] = events
      if (event?.offset === head.offset) return { found: { head, event } }
      // Another was appended meanwhile, or retention has removed all of them.
      const state = await engine.inspect(log)
      return state?.start.offset === state?.head.offset ? { found: undefined } : undefined
    } catch (error) {
      if (missing.has((error as MillraceError).code)) return undefined
      throw error
    }
  })
  return found
}

/** False where another was written meanwhile. `last` is undefined where there was none. */
export async function writeNext(engine: Engine, log: string, last: Last | undefined, event: NewEvent): Promise<boolean> {
  const condition = last === undefined ? { expect: 0 } : { expect: last.head.offset, epoch: last.head.epoch }
  try {
    await engine.append(log, [{ type: event.type, data: event.data }], { ...condition, keep: 1 })
    return true
  } catch (error) {
    const { code } = error as MillraceError
    if (code === 'head_moved' || code === 'position_foreign') return false
    throw error
  }
}
