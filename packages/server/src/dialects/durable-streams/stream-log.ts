/** The log of a stream that clients write: finding its state, and changing it where nobody else has. */
import { channelPattern } from '@millrace/protocol'
import type { Engine, NewEvent } from '../../log/log.ts'
import { invalid, notFound } from './errors.ts'
import { appendAfter, readLast, undefinedIfGone } from './last-event.ts'
import { type Found, type StreamState, stateEvent } from './state.ts'

/** What the names of these logs begin with. No session and no channel has such a log. */
export const streamPrefix = 'stream/'

/** Throws a StreamError for a name that no stream has. */
export function streamLog(name: string): string {
  // Where the protocol has its subscriptions.
  if (/^__ds(\/|$)/.test(name)) throw notFound()
  if (!channelPattern.test(name)) throw invalid('The name of a stream has 1 to 128 characters of A-Z a-z 0-9 _ . : / and -.')
  return streamPrefix + name
}

/**
 * Undefined where nobody has created it. A stream that is over is found too. `last` is what a live reader has found before, for
 * whom only what has come since is read.
 */
export async function findStream(engine: Engine, name: string, last?: Found): Promise<Found | undefined> {
  const log = streamLog(name)
  const more = last && (await undefinedIfGone(findMore(engine, log, last)))
  if (more !== undefined) return more
  const { event, ...found } = (await readLast(engine, log)) ?? {}
  return event?.type === 'state' ? ({ name, ...found, state: event.data as object } as Found) : undefined
}

async function findMore(engine: Engine, log: string, last: Found): Promise<Found | undefined> {
  let page = await engine.read(log, last.head)
  if (page.events.length === 0) return last
  while (page.position.offset < page.head.offset) page = await engine.read(log, page.position)
  const event = page.events.at(-1)
  return event?.type === 'state' ? { ...last, head: page.position, state: event.data as object as StreamState } : undefined
}

/** Undefined where the head has moved, or the log was lost: nothing was appended. `found` is undefined for a new log. */
export async function changeStream(engine: Engine, { name, found, state, data = [], keep }: Change): Promise<Found | undefined> {
  const head = await appendAfter(engine, streamLog(name), found?.head, [...data, stateEvent(state)], keep)
  return head && { name, head, start: found?.start ?? 0, state }
}

interface Change {
  readonly name: string
  readonly found: Found | undefined
  readonly state: StreamState
  readonly data?: readonly NewEvent[]
  /** Events that must be kept after it. */
  readonly keep?: number
}
