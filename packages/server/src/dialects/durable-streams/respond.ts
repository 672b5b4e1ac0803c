/** Answers of a stream as responses of the gateway, over the connection of their reader. */
import { z } from 'zod'
import type { Caller } from '../../access/caller.ts'
import type { ResponseBytes, RouteRequest, RouteResponse } from '../../gateway/route.ts'
import type { Engine } from '../../log/log.ts'
import { invalid, StreamError, toStreamError } from './errors.ts'
import { type LiveOptions, longPoll } from './live.ts'
import { type Answer, type Clock, catchUp, findStart, headersOf, type Source } from './reading.ts'
import { isText, streamFrames } from './sse.ts'
import { endOf, formatPoint, type View } from './view.ts'

export const readQuery = z.object({
  offset: z.string().min(1).optional(),
  live: z.enum(['long-poll', 'sse']).optional(),
  cursor: z.string().optional(),
})

export type ReadInput = z.output<typeof readQuery>
export type ReadRequest = RouteRequest<ReadInput>

export interface Waits {
  /** How long a long-poll waits. */
  readonly pollMs: number
  /** After which an event stream ends, so that its client asks again. */
  readonly sseMs: number
}

export interface RespondContext extends Clock {
  readonly engine: Engine
  readonly waits: Waits
}

type Connection = ReturnType<ReadRequest['connect']>

/**
 * Clients wrote the content, and it is served from this server's origin: opened as a page it MUST run no script. Other sites
 * read it only with CORS.
 */
export const sharedHeaders = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-site',
  'content-security-policy': "default-src 'none'; sandbox",
} as const

/** As the client has reached this server. Undefined where it did not say so. */
export function originOf({ headers, isSecure }: Caller): string | undefined {
  const host = headers.get('host')
  return host === null ? undefined : `${isSecure ? 'https' : 'http'}://${host}`
}

/** Turns a StreamError into a response. Other errors are the gateway's. */
export async function answering(act: () => Promise<RouteResponse>): Promise<RouteResponse> {
  try {
    return await act()
  } catch (error) {
    const known = toStreamError(error)
    if (!(known instanceof StreamError)) throw known
    const { status, message, headers } = known
    return { status, text: message, headers: { ...sharedHeaders, 'content-type': 'text/plain; charset=utf-8', ...headers } }
  }
}

export function toResponse({ status, headers, body }: Answer): RouteResponse {
  return { status, bytes: (body as ResponseBytes | undefined) ?? null, headers: { ...sharedHeaders, ...headers } }
}

/** `connection`: of a reader that was counted before; by default it is counted here. */
export async function respond(
  context: RespondContext,
  { input, caller, isHead, signal, connect }: ReadRequest,
  { source, view, log }: { readonly source: Source; readonly view: View; readonly log: string },
  connection?: Connection,
): Promise<RouteResponse> {
  const query = { offset: input.offset, live: input.live, cursor: input.cursor }
  if (isHead) return toResponse(describe(source.name, view))
  if (query.live !== undefined && query.offset === undefined) throw invalid('Send an offset with live; -1 is the start.')
  const ifNoneMatch = caller.headers.get('if-none-match')
  if (query.live === undefined) return toResponse(await catchUp(context.engine, { name: source.name, view }, query, ifNoneMatch))
  // Before the headers are sent: an offset that the stream does not have is an error.
  findStart(view, query.offset)
  const open = connection ?? connect(query.live === 'sse' ? 'sse' : 'poll', log)
  const served = open.serveResponse(signal)
  const live = { ...context, source, view, query, signal: served.signal }
  if (query.live === 'sse') return streamOf({ ...live, waitMs: context.waits.sseMs }, open, served.delivered)
  const answer = await longPoll({ ...live, waitMs: context.waits.pollMs }, ifNoneMatch)
  served.end()
  if (answer.body instanceof Uint8Array) served.delivered.bytes = answer.body.length
  return toResponse(answer)
}

function describe(name: string, view: View): Answer {
  const { 'stream-up-to-date': _isAtEnd, ...headers } = headersOf(view, { next: endOf(view), isUpToDate: true })
  const end = view.isClosed ? ':c' : ''
  const etag = `"${encodeURIComponent(name)}:-1:${formatPoint(view, endOf(view))}${end}"`
  return { status: 200, headers: { ...headers, etag, 'cache-control': 'no-store' } }
}

/** Frames are read when the client has taken the ones before. */
function streamOf(options: LiveOptions, connection: Connection, delivered: { events: number; bytes: number }): RouteResponse {
  const frames = streamFrames(options)
  const close = async () => {
    connection.noteEnd(options.signal.aborted ? 'left' : 'ended')
    connection.close()
    await frames.return(undefined)
  }
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await frames.next().catch(() => undefined)
        if (next === undefined || next.done) {
          await close()
          return controller.close()
        }
        const bytes = Buffer.from(next.value.text)
        delivered.events += next.value.events
        delivered.bytes += bytes.length
        controller.enqueue(bytes)
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  )
  return { stream, headers: { ...streamHeaders, ...(!isText(options.view) && { 'stream-sse-data-encoding': 'base64' }) } }
}

const streamHeaders = {
  ...sharedHeaders,
  // Without a charset: clients compare the whole of it.
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-store, no-transform',
  'x-accel-buffering': 'no',
  'referrer-policy': 'no-referrer',
}
