/** Answers to GET: what there is. PROTOCOL.md 5.6 of Durable Streams. */
import type { Engine } from '../../log/log.ts'
import { joiner, joinMessages } from './content.ts'
import { type Chunk, endOf, findPoint, formatPoint, type Point, readView, startOf, type View } from './view.ts'

/** What a reader reads, by the address that it asked for. */
export interface Source {
  /** Names the stream in its ETag. */
  readonly name: string
  /** Looks at the stream again, and notes the read. Throws a StreamError where it is gone. */
  open(): Promise<View>
  /** Calls the bell when the stream may have changed. */
  watch(bell: () => void): () => void
  /** The longest wait after which `open` must be called again, for a stream that ends without reads. */
  readonly waitMsMax?: number | undefined
}

export interface ReadQuery {
  readonly offset: string | undefined
  readonly live: 'long-poll' | 'sse' | undefined
  readonly cursor: string | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | ReadableStream<Uint8Array>
}

export interface Clock {
  readonly now: () => number
  /** From 0 to below 1. */
  readonly random: () => number
}

/** Of one read. */
export const bytesMax = 1024 * 1024

/** Only the caches of its reader: who may read it is checked at each request. */
const kept = { 'cache-control': 'private, max-age=60, stale-while-revalidate=300' }
export const notKept = { 'cache-control': 'no-store' }

/** Where a reader begins. */
export function findStart(view: View, offset: string | undefined): Point {
  if (offset === undefined) return startOf(view)
  return offset === 'now' ? endOf(view) : findPoint(view, offset)
}

/**
 * All that there is after an offset. Clients that do not wait for more ask once, so it is not cut into pages: what does not fit
 * into one read is read as the client takes it.
 */
export async function catchUp(
  engine: Engine,
  { name, view }: { readonly name: string; readonly view: View },
  { offset }: ReadQuery,
  ifNoneMatch: string | null,
): Promise<Answer> {
  const from = findStart(view, offset)
  const all = { next: endOf(view), isUpToDate: true }
  if (offset === 'now')
    return { status: 200, headers: { ...headersOf(view, all), ...notKept }, body: joinMessages(view.contentType, []) }
  const first = await readView(engine, view, from, bytesMax)
  const chunk = { ...all, messages: first.messages }
  const answer = answerChunk({ name, view, from, chunk, ifNoneMatch })
  if (first.isUpToDate || answer.status === 304) return answer
  return { ...answer, body: toStream(joinPages(engine, view, first)) }
}

/** Each piece is read when the one before was taken. */
function toStream(pieces: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await pieces.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
}

async function* joinPages(engine: Engine, view: View, first: Chunk): AsyncGenerator<Uint8Array> {
  const join = joiner(view.contentType)
  yield join.start
  for (let chunk = first; ; chunk = await readView(engine, view, chunk.next, bytesMax)) {
    yield join.next(chunk.messages.map(({ data }) => data))
    if (chunk.isUpToDate) break
  }
  yield join.end
}

interface ChunkOptions {
  readonly name: string
  readonly view: View
  readonly from: Point
  readonly chunk: Chunk
  readonly ifNoneMatch: string | null
  readonly cursor?: string
}

export function answerChunk({ name, view, from, chunk, ifNoneMatch, cursor }: ChunkOptions): Answer {
  const end = isClosedAfter(view, chunk) ? ':c' : ''
  const etag = `"${encodeURIComponent(name)}:${formatPoint(view, from)}:${formatPoint(view, chunk.next)}${end}"`
  // A reader at the tail asks for the same again: what it gets then may not come out of a cache.
  const caching = chunk.messages.length === 0 ? notKept : kept
  const headers = { ...headersOf(view, chunk), ...caching, etag, ...(cursor !== undefined && { 'stream-cursor': cursor }) }
  if (ifNoneMatch === etag) return { status: 304, headers }
  return {
    status: 200,
    headers,
    body: joinMessages(
      view.contentType,
      chunk.messages.map(({ data }) => data),
    ),
  }
}

/** Also of the answer to HEAD. */
export function headersOf(view: View, chunk: Pick<Chunk, 'next' | 'isUpToDate'>): Record<string, string> {
  return {
    'content-type': view.contentType,
    'stream-next-offset': formatPoint(view, chunk.next),
    ...(chunk.isUpToDate && { 'stream-up-to-date': 'true' }),
    ...(isClosedAfter(view, chunk) && { 'stream-closed': 'true' }),
  }
}

export function isClosedAfter(view: View, { isUpToDate }: Pick<Chunk, 'isUpToDate'>): boolean {
  return view.isClosed && isUpToDate
}
