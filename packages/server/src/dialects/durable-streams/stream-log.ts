/** The log of a stream that clients write: finding its state, and changing it where nobody else has. */
import { channelPattern, MillraceError } from '@millrace/protocol'
import type { Engine, NewEvent } from '../../log/log.ts'
import { invalid, notFound } from './errors.ts'
import { type Found, type StreamState, stateEvent } from './state.ts'

const goneCodes = new Set<unknown>(['session_not_found', 'position_foreign', 'position_ahead', 'position_expired'])

/** Throws a StreamError for a name that no stream has. No session and no channel has such a log. */
export function streamLog(name: string): string {
  // Where the protocol has its subscriptions.
  if (/^__ds(\/|$)/.test(name)) throw notFound()
  if (!channelPattern.test(name)) throw invalid('The name of a stream has 1 to 128 characters of A-Z a-z 0-9 _ . : / and -.')
  return `stream/${name}`
}

/**
 * Undefined where nobody has created it. A stream that is over is found too. `last` is what a live reader has found before, for
 * whom only what has come since is read.
 */
export async function findStream(engine: Engine, name: string, last?: Found): Promise<Found | undefined> {
  const log = streamLog(name)
  const more = last && (await findMore(engine, log, last))
  if (more !== undefined) return more
  for (let attempt = 0; attempt < 5; attempt++) {
    const known = await engine.inspect(log)
    if (known === undefined || known.head.offset === 0) return undefined
    const { head, start } = known
    try {
      const { events } = await engine.read(log, { ...head, offset: head.offset - 1 }, { eventsMax: 1 })
      const [event] = events
      if (event?.type === 'state' && event.offset === head.offset)
        return { name, head, start: start.offset, state: event.data as object as StreamState }
    } catch (error) {
      // Deleted or trimmed between the calls.
      if (!goneCodes.has((error as MillraceError).code)) throw error
    }
  }
  return undefined
}

async function findMore(engine: Engine, log: string, last: Found): Promise<Found | undefined> {
  try {
    let page = await engine.read(log, last.head)
    if (page.events.length === 0) return last
    while (page.position.offset < page.head.offset) page = await engine.read(log, page.position)
    const event = page.events.at(-1)
    return event?.type === 'state' ? { ...last, head: page.position, state: event.data as object as StreamState } : undefined
  } catch (error) {
    if (!goneCodes.has((error as MillraceError).code)) throw error
    return undefined
  }
}

/** Undefined where the head has moved, or the log was lost: nothing was appended. `found` is undefined for a new log. */
export async function changeStream(engine: Engine, { name, found, state, data = [], keep }: Change): Promise<Found | undefined> {
  const condition = { expect: found?.head.offset ?? 0, ...(found !== undefined && { epoch: found.head.epoch }) }
  try {
    const options = { ...condition, ...(keep !== undefined && { keep }) }
    const { position } = await engine.append(streamLog(name), [...data, stateEvent(state)], options)
    return { name, head: position, start: found?.start ?? 0, state }
  } catch (error) {
    const { code } = error as MillraceError
    if (code === 'head_moved' || code === 'position_foreign') return undefined
    throw error
  }
}

interface Change {
  readonly name: string
  readonly found: Found | undefined
  readonly state: StreamState
  readonly data?: readonly NewEvent[]
  /** Events that must be kept after it. */
  readonly keep?: number
}

/** Tries a change again while others change the stream meanwhile. Rejects with `engine_busy` where that does not end. */
export async function retryChange<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let count = 0; count < attemptsMax; count++) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new MillraceError('engine_busy')
}

/** Each failure means that another server has succeeded. */
const attemptsMax = 200
