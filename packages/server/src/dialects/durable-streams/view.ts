/**
 * A snapshot of a stream: the parts of logs that it consists of, and whether it is closed. Reads end where the stream ended
 * then, so that a response never says that a reader is up to date while an append is in progress.
 */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine, LogEvent } from '../../log/log.ts'
import { expired, invalid } from './errors.ts'
import { formatPlace, parsePlace } from './offsets.ts'

export interface View {
  readonly contentType: string
  /** Oldest first; at least one. Only the last one grows. */
  readonly parts: readonly Part[]
  readonly isClosed: boolean
  /** Undefined for events that are no message of the stream. */
  readonly render: (event: LogEvent) => Uint8Array | undefined
}

/** The events of a log after one offset, up to and including another. */
export interface Part {
  readonly log: string
  readonly epoch: string
  readonly after: number
  readonly upTo: number
  /** Events between the part before it and its first one are no longer kept. */
  readonly isCut?: boolean
}

/** A place in a view. */
export interface Point {
  readonly part: number
  readonly offset: number
}

export interface Message {
  readonly data: Uint8Array
  /** Of the message: a reader that has it goes on there. */
  readonly offset: string
}

export interface Chunk {
  readonly messages: readonly Message[]
  readonly next: Point
  readonly isUpToDate: boolean
}

/** The oldest place from which everything up to the end is kept. */
export function startOf(view: View): Point {
  return startAt(
    view,
    Math.max(
      0,
      view.parts.findLastIndex(({ isCut }) => isCut),
    ),
  )
}

export function endOf({ parts }: View): Point {
  const part = parts.length - 1
  return { part, offset: (parts[part] as Part).upTo }
}

const isSame = (one: Point, other: Point): boolean => one.part === other.part && one.offset === other.offset

/** The start of a part and the end of the part before it are the same place, and have one offset. */
export function formatPoint(view: View, { part, offset }: Point): string {
  const current = view.parts[part] as Part
  const before = view.parts[part - 1]
  if (before !== undefined && offset === current.after && !current.isCut)
    return formatPoint(view, { part: part - 1, offset: before.upTo })
  return formatPlace([...view.parts.slice(0, part).map(({ epoch, upTo }) => ({ epoch, offset: upTo })), { ...current, offset }])
}

/** Throws a StreamError where the stream has no such place, or what follows it is no longer kept. */
export function findPoint(view: View, text: string): Point {
  const place = parsePlace(text)
  if (place === undefined) throw invalid('The offset is not valid; send one that this server returned, -1 or now.')
  if (place === 'start') return startOf(view)
  if (place.length > view.parts.length) throw expired()
  place.forEach((position, index) => {
    requirePart(view.parts[index] as Part, position, index < place.length - 1)
  })
  const part = place.length - 1
  const { offset } = place[part] as Position
  const { upTo } = view.parts[part] as Part
  // The same place, from which the next part is read.
  return offset === upTo && part + 1 < view.parts.length ? afterPart(view, part) : { part, offset }
}

/** Where the next part begins. Throws a StreamError where its beginning is no longer kept. */
export function afterPart(view: View, part: number): Point {
  if (view.parts[part + 1]?.isCut) throw expired()
  return startAt(view, part + 1)
}

function startAt({ parts }: View, part: number): Point {
  return { part, offset: (parts[part] as Part).after }
}

function requirePart(part: Part, { epoch, offset }: Position, isLeft: boolean): void {
  if (epoch !== part.epoch || offset < part.after || (isLeft && offset !== part.upTo)) throw expired()
  if (offset > part.upTo) throw invalid('The offset is after the end of the stream.')
}

/** What follows a point, up to about `bytesMax` bytes. Throws a StreamError where it is no longer kept. */
export async function readView(engine: Engine, view: View, from: Point, bytesMax: number): Promise<Chunk> {
  const end = endOf(view)
  const messages: Message[] = []
  let next = from
  let bytes = 0
  while (bytes < bytesMax && !isSame(next, end)) {
    const { log, epoch, upTo } = view.parts[next.part] as Part
    if (next.offset >= upTo) {
      next = afterPart(view, next.part)
      continue
    }
    const page = await engine.read(log, { epoch, offset: next.offset }, { bytesMax: bytesMax - bytes })
    if (page.gap !== undefined) throw expired()
    if (page.events.length === 0) throw new MillraceError('engine_failed')
    for (const event of page.events) {
      if (event.offset > upTo) break
      next = { part: next.part, offset: event.offset }
      const data = view.render(event)
      if (data === undefined) continue
      messages.push({ data, offset: formatPoint(view, next) })
      bytes += data.length
    }
  }
  return { messages, next, isUpToDate: isSame(next, end) }
}
