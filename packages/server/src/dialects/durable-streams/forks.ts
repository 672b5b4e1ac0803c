/**
 * Forks read what they have of their source from its log; nothing is copied. Each has a mark under the name of its source, so
 * that a source which was deleted is kept while a fork reads it. A mark whose fork was never created counts for nothing.
 */
import type { Engine } from '../../log/log.ts'
import { walkNames } from '../../log/names.ts'
import { takeFirst } from './content.ts'
import { expired, invalid, StreamError } from './errors.ts'
import { parsePlace, partsMax } from './offsets.ts'
import type { ForkRequest } from './requests.ts'
import { type Found, type Inherited, isOver, type StreamState } from './state.ts'
import { changeStream, findStream, streamPrefix } from './stream-log.ts'
import { toView } from './stream-view.ts'
import { afterPart, endOf, findPoint, type Point, startOf, type View } from './view.ts'

const marksOf = (source: string) => `fork/${encodeURIComponent(source)}/`
const markOf = (source: string, fork: string) => `${marksOf(source)}${encodeURIComponent(fork)}`

/** Before the fork is created: a source that is deleted meanwhile sees the mark, or the fork sees that it was deleted. */
export async function markFork(engine: Engine, source: string, fork: string): Promise<void> {
  await engine.append(markOf(source, fork), [{ type: 'fork', data: {} }], { key: 'fork' })
}

export async function isForked(engine: Engine, name: string, now: number): Promise<boolean> {
  for await (const mark of walkNames(engine, marksOf(name))) {
    const fork = await findStream(engine, decodeURIComponent(mark.slice(marksOf(name).length)))
    if (fork?.state.fork?.from !== name) continue
    if (!isOver(fork.state, now) || (await isForked(engine, fork.name, now))) return true
  }
  return false
}

/** Frees what a stream has that is over, and then its source, where no fork reads them any more. */
export async function freeStream(engine: Engine, name: string, now: number): Promise<void> {
  const found = await findStream(engine, name)
  if (found === undefined || !isOver(found.state, now) || (await isForked(engine, name, now))) return
  const isFree = found.state.tail === found.state.base && found.state.isDeleted
  const state: StreamState = { ...found.state, isDeleted: true, base: found.head.offset + 1, tail: found.head.offset + 1 }
  // Where the head has moved, the stream was created again.
  if (!isFree && (await changeStream(engine, { name, found, state, keep: 1 })) === undefined) return
  const source = found.state.fork?.from
  if (source === undefined) return
  await engine.delete(markOf(source, name))
  await freeStream(engine, source, now)
}

export interface ForkPoint {
  readonly inherits: readonly Inherited[]
  /** The beginning of a message that is not inherited whole. */
  readonly first: Uint8Array | undefined
}

/** Where a fork begins. Throws a StreamError. */
export async function findForkPoint(engine: Engine, source: Found, request: ForkRequest): Promise<ForkPoint> {
  const view = await toView(engine, source)
  const point = findOffset(view, request.offset)
  const { at, first } = request.subOffset === 0 ? { at: point, first: undefined } : await findSub(engine, view, point, request)
  const parts = view.parts.slice(0, at.part + 1)
  if (parts.length >= partsMax) throw invalid(`A stream is forked at most ${partsMax - 1} times in a row.`)
  const inherits = parts.map(({ log, ...part }, index) => ({
    ...part,
    stream: log.slice(streamPrefix.length),
    upTo: index === at.part ? at.offset : part.upTo,
  }))
  return { inherits, first }
}

function findOffset(view: View, offset: string | undefined): Point {
  if (offset === undefined) return endOf(view)
  const place = parsePlace(offset)
  if (place === undefined) throw invalid('Stream-Fork-Offset is not an offset of the source.')
  if (place === 'start') return startOf(view)
  return findPoint(view, offset)
}

/** Messages of a JSON stream, or bytes of another one, within what one request appended. */
async function findSub(
  engine: Engine,
  view: View,
  from: Point,
  { subOffset }: ForkRequest,
): Promise<{ at: Point; first: Uint8Array | undefined }> {
  let { part, offset } = from
  let left = subOffset
  for (let isIn = false; part < view.parts.length; ) {
    const { log, epoch, upTo, after } = view.parts[part] as View['parts'][number]
    offset = Math.max(offset, after)
    if (offset >= upTo) {
      if (isIn || part + 1 === view.parts.length) break
      ;({ part, offset } = afterPart(view, part))
      continue
    }
    const page = await engine.read(log, { epoch, offset }, { eventsMax: 1 })
    const [event] = page.events
    if (page.gap !== undefined || event === undefined) throw expired()
    const data = view.render(event)
    // The state after an append.
    if (data === undefined && isIn) break
    if (data !== undefined) {
      isIn = true
      const { first, size } = takeFirst(view.contentType, data, left)
      if (left < size) return { at: { part, offset }, first }
      if (left === size) return { at: { part, offset: event.offset }, first: undefined }
      left -= size
    }
    offset = event.offset
  }
  throw overshoot()
}

const overshoot = () => invalid('Stream-Fork-Sub-Offset is more than the source has in its next append.')

/** What a fork has of the expiry of its source. */
export function expiryOf(
  request: Pick<StreamState, 'ttl' | 'expiresAt'>,
  source: StreamState,
): Pick<StreamState, 'ttl' | 'expiresAt'> {
  if (request.ttl !== undefined) return { ttl: request.ttl }
  if (request.expiresAt !== undefined) return { expiresAt: request.expiresAt }
  return {
    ...(source.ttl !== undefined && { ttl: source.ttl }),
    ...(source.expiresAt !== undefined && { expiresAt: source.expiresAt }),
  }
}

/** A source that may be forked. Throws a StreamError. */
export async function requireSource(engine: Engine, name: string, now: number): Promise<Found> {
  const source = await findStream(engine, name)
  if (source === undefined) throw new StreamError(404, 'The source stream does not exist.')
  if (!isOver(source.state, now)) return source
  if (await isForked(engine, name, now)) throw new StreamError(409, 'The source stream was deleted.')
  throw new StreamError(404, 'The source stream does not exist.')
}
