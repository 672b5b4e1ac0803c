/**
 * Down over server-sent events, by `fetch`: unlike a native EventSource it shows the server's
 * heartbeats, sends a token, and says what a refusal was.
 */
import { createSseParser, streamHeader } from '@millrace/protocol'
import { MillraceError, readError, unreachable } from '../errors.ts'
import { type Http, toError } from '../http.ts'
import type { Gauges } from '../status.ts'
import { queryOf, type StreamRequest, type Transport } from './transport.ts'

/** Where bytes keep coming, and a heartbeat may be long behind them, the server gets an acknowledgement at least this often; the first at once. */
const answerMsMax = 10_000

export function createSseTransport(http: Http, gauges: Gauges): Transport {
  return {
    open(request) {
      read(http, gauges, request).catch((error: unknown) => {
        if (!request.signal.aborted) request.on.failed(toError(error))
      })
    },
  }
}

/** Never resolves well: a session's stream has no end of its own. */
async function read(http: Http, gauges: Gauges, { source, from, signal, on }: StreamRequest): Promise<never> {
  const query = queryOf({ ...source, from, heartbeat: 'answered' })
  const response = await http.stream(`api/stream?${query}`, { accept: 'text/event-stream', signal })
  if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream'))
    throw new MillraceError('bad_answer')
  // Absent where an older server, or something on the way, does not know of it.
  const stream = response.headers.get(streamHeader)
  let answeredAt = Number.NEGATIVE_INFINITY
  // A heartbeat response that is lost is followed by the next; a stream that is cut for it is re-opened.
  const answer = () => {
    const sentAt = performance.now()
    answeredAt = sentAt
    if (stream === null) return
    const answered = () => {
      gauges.roundTripMs = performance.now() - sentAt
    }
    http.text('api/heartbeat', { body: { stream }, signal }).then(answered, () => {})
  }
  let isOpen = false
  const open = () => {
    if (!isOpen) on.opened()
    isOpen = true
  }
  let lastId = ''
  const parser = createSseParser({
    onEvent({ event, id, data }) {
      // Every event of a log has a position of its own: without one it is an error of the stream, as of a request.
      const isOfStream = id === lastId
      if (event === 'error' && isOfStream) {
        const error = readError(parse(data), http.base) ?? new MillraceError('bad_answer')
        // The next request has another token, or is refused.
        throw isAboutToken(error) ? unreachable(error) : error
      }
      if (event === 'renew' && isOfStream) return renew(http, parse(data), signal)
      lastId = id
      if (signal.aborted) return
      open()
      on.event(event, id, parse(data))
    },
    onRetry: on.retry,
    onComment(comment) {
      // A stream begins with one; a refusal has none.
      open()
      // The first comment has words; a heartbeat is a number.
      const clock = Number(comment)
      if (!clock || signal.aborted) return
      on.received(clock)
      answer()
    },
    onError: (message) => {
      throw new MillraceError('bad_answer', { message })
    },
  })
  const reader = response.body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (signal.aborted || done) throw unreachable('The stream ended.')
    if (isOpen) on.received()
    parser.push(value)
    if (performance.now() - answeredAt > answerMsMax) answer()
  }
}

/** Gives the stream another token. Where that fails, the server ends it. */
function renew(http: Http, asked: unknown, signal: AbortSignal): void {
  const { connection } = asked as { connection: string }
  http.text(`api/connections/${connection}/renew`, { body: {}, reason: 'expired', signal }).catch(() => {})
}

function isAboutToken({ code }: MillraceError): boolean {
  return code.startsWith('token_')
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw new MillraceError('bad_answer', { cause })
  }
}
