/**
 * Down over server-sent events, by `fetch`: unlike a native EventSource it shows the server's
 * heartbeats, sends a token, and says what a refusal was.
 */
import { createSseParser } from '@millrace/protocol'
import { MillraceError, unreachable } from '../errors.ts'
import { type Http, toError } from '../http.ts'
import type { StreamRequest, Transport } from './transport.ts'

export function createSseTransport(http: Http): Transport {
  return {
    open(request) {
      read(http, request).catch((error: unknown) => {
        if (!request.signal.aborted) request.on.failed(toError(error))
      })
    },
  }
}

/** Never resolves well: a session's stream has no end of its own. */
async function read(http: Http, { source, from, signal, on }: StreamRequest): Promise<never> {
  const query = new URLSearchParams({ ...source, from })
  const response = await http.request(`api/stream?${query.toString()}`, { accept: 'text/event-stream', signal })
  if (!response.body || !response.headers.get('content-type')?.startsWith('text/event-stream'))
    throw new MillraceError('bad_answer')
  const parser = createSseParser({
    onEvent({ event, id, data }) {
      if (!signal.aborted) on.event(event, id, parse(data))
    },
    onRetry: on.retry,
    onError: (message) => {
      throw new MillraceError('bad_answer', { message })
    },
  })
  const reader = response.body.getReader()
  for (let isFirst = true; ; isFirst = false) {
    const { done, value } = await reader.read()
    if (signal.aborted || done) throw unreachable('The stream ended.')
    if (isFirst) on.opened()
    else on.heard()
    parser.push(value)
  }
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw new MillraceError('bad_answer', { cause })
  }
}
