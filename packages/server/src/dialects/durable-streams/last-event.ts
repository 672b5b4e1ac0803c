/** Logs whose last event is all that counts: it is read, and followed by another where nobody else has appended meanwhile. */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogEvent, NewEvent } from '../../log/log.ts'

export interface Last {
  readonly head: Position
  /** Before the oldest event that is kept. */
  readonly start: number
  readonly event: LogEvent
}

/** Of a log that has no such place, or none any more. */
const goneCodes = new Set<unknown>(['session_not_found', 'position_foreign', 'position_ahead', 'position_expired'])
/** Retention removes events by their age: one that must stay is written again when it is as old. */
const rewriteMs = 60 * 60_000
/** Each failure means that another server has succeeded. */
const attemptsMax = 200

/** Undefined where there is none. */
export async function readLast(engine: Engine, log: string): Promise<Last | undefined> {
  const { found } = await retryChange(async () => {
    const known = await engine.inspect(log)
    if (known === undefined || known.head.offset === 0) return { found: undefined }
    const { head, start } = known
    const page = await undefinedIfGone(engine.read(log, { ...head, offset: head.offset - 1 }, { eventsMax: 1 }))
    const event = page?.events[0]
    if (event?.offset === head.offset) return { found: { head, start: start.offset, event } }
    // Another was appended meanwhile, the log was deleted, or retention has removed all events.
    const state = await engine.inspect(log)
    return state?.start.offset === state?.head.offset ? { found: undefined } : undefined
  })
  return found
}

/** Undefined where the head has moved, or the log was lost: nothing was appended. Without a head the log is to be new. */
export async function appendAfter(
  engine: Engine,
  log: string,
  head: Position | undefined,
  events: readonly NewEvent[],
  keep?: number,
): Promise<Position | undefined> {
  const condition = { expect: head?.offset ?? 0, ...(head !== undefined && { epoch: head.epoch }) }
  try {
    return (await engine.append(log, events, { ...condition, ...(keep !== undefined && { keep }) })).position
  } catch (error) {
    const { code } = error as MillraceError
    if (code === 'head_moved' || code === 'position_foreign') return undefined
    throw error
  }
}

/** Writes the last event again before retention removes it. */
export async function keepLast(engine: Engine, log: string, now: number): Promise<void> {
  const last = await readLast(engine, log)
  if (last === undefined || now - last.event.time < rewriteMs) return
  const { type, data } = last.event
  await appendAfter(engine, log, last.head, [{ type, data }], 1)
}

/** Undefined where the log has no such place any more. */
export async function undefinedIfGone<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (!goneCodes.has((error as MillraceError).code)) throw error
    return undefined
  }
}

/** Tries a change again while others change the log meanwhile. Rejects with `engine_busy` where that does not end. */
export async function retryChange<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let count = 0; count < attemptsMax; count++) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new MillraceError('engine_busy')
}
