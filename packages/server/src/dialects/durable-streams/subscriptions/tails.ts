/** Where the streams of a subscription end, and which of them have something that no worker has processed. */
import type { Engine } from '../../../log/log.ts'
import { parsePlace } from '../offsets.ts'
import { isOver } from '../state.ts'
import { findStream } from '../stream-log.ts'
import { toView } from '../stream-view.ts'
import { endOf, formatPoint, startOf } from '../view.ts'
import { SubscriptionError } from './errors.ts'
import { beforeAll, type Link, type Subscription } from './subscription.ts'

export interface Tail {
  readonly offset: string
  /** Nothing of it is kept before its end. */
  readonly isEmpty: boolean
}

/** By the names of streams. Those that do not exist, or are over, have none. */
export type Tails = ReadonlyMap<string, Tail>

async function findTail(engine: Engine, name: string, now: number): Promise<Tail | undefined> {
  const found = await findStream(engine, name)
  if (found === undefined || isOver(found.state, now)) return undefined
  const view = await toView(engine, found)
  const offset = formatPoint(view, endOf(view))
  return { offset, isEmpty: formatPoint(view, startOf(view)) === offset }
}

export async function findTails(engine: Engine, names: readonly string[], now: number): Promise<Tails> {
  const found = await Promise.all(names.map(async (name) => [name, await findTail(engine, name, now)] as const))
  return new Map(found.flatMap(([name, tail]) => (tail === undefined ? [] : [[name, tail] as const])))
}

export function tailsOf(engine: Engine, { links }: Subscription, now: number): Promise<Tails> {
  return findTails(
    engine,
    links.map(({ path }) => path),
    now,
  )
}

export function isPending({ path, acked }: Link, tails: Tails): boolean {
  const tail = tails.get(path)
  if (tail === undefined) return false
  return acked === beforeAll ? !tail.isEmpty : acked !== tail.offset
}

export function firstPending({ links }: Subscription, tails: Tails): string | undefined {
  return links.find((link) => isPending(link, tails))?.path
}

/** Throws a SubscriptionError for an offset that the worker cannot have processed. */
export function checkAck({ links }: Subscription, tails: Tails, path: string, offset: string): void {
  const link = links.find((each) => each.path === path)
  if (link === undefined) throw wrong(`The subscription has no stream ${path}.`)
  const tail = tails.get(path)?.offset
  const place = parsePlace(offset)
  if (place === undefined || place === 'start')
    throw wrong('The offset is none of a message; send one that this server returned.')
  // A stream that is over has ended the work as well.
  if (tail === undefined) return
  if (offset > tail) throw wrong(`The offset is after the end of the stream, ${tail}.`)
  // After the log of a stream was lost, its offsets have another beginning.
  if (beginningOf(link.acked) === beginningOf(tail) && offset < link.acked)
    throw wrong(`The offset is before the one that was acknowledged, ${link.acked}.`)
}

const beginningOf = (offset: string) => offset.split('_', 1)[0]
const wrong = (message: string) => new SubscriptionError('INVALID_OFFSET', message)
