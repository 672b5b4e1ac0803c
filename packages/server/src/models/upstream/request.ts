/** Asks another server for an answer, which comes as an event stream. Its address is the host's own: no client chooses it. */
import { createSseParser, MillraceError, type ParsedSseEvent } from '@millrace/protocol'
import { toMillraceError } from '../langchain/errors.ts'

export interface UpstreamOptions {
  /** The name for requests. */
  readonly name: string
  readonly url: string
  /** Such as its key. A function is called for each request. */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>) | undefined
  /** For the upstream to begin its answer, in milliseconds; default 30,000. */
  readonly beginMsMax?: number | undefined
}

export interface UpstreamRequest extends Omit<UpstreamOptions, 'url'> {
  readonly url: string
  readonly body: unknown
  readonly signal: AbortSignal
}

/**
 * The events of the response. Ends early, without an error, when the signal aborts; rejects with `model_timeout`,
 * `model_unauthorized`, `model_rate_limited`, `model_rejected` or `model_failed`. Leaving it closes the connection.
 */
export async function* requestEvents(request: UpstreamRequest): AsyncGenerator<ParsedSseEvent> {
  const { name, signal } = request
  const left = new AbortController()
  try {
    yield* readEvents(await open(request, AbortSignal.any([signal, left.signal]), left), name)
  } catch (error) {
    if (signal.aborted) return
    throw left.signal.reason instanceof MillraceError ? left.signal.reason : toMillraceError(error, name)
  } finally {
    left.abort()
  }
}

async function open(
  { name, url, headers, body, beginMsMax = 30_000 }: UpstreamRequest,
  signal: AbortSignal,
  deadline: AbortController,
): Promise<ReadableStream<Uint8Array>> {
  const timer = setTimeout(() => deadline.abort(new MillraceError('model_timeout')), beginMsMax)
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        ...(typeof headers === 'function' ? headers() : headers),
        'content-type': 'application/json',
        accept: 'text/event-stream',
      },
      body: JSON.stringify(body),
      // The key would go where the upstream says.
      redirect: 'error',
      signal,
    })
    if (!response.ok) throw toMillraceError({ status: response.status }, name)
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
    if (!isStream || response.body === null)
      throw broken(name, 'answered without an event stream; check its address on the server.')
    return response.body
  } finally {
    clearTimeout(timer)
  }
}

async function* readEvents(body: ReadableStream<Uint8Array>, name: string): AsyncGenerator<ParsedSseEvent> {
  let events: ParsedSseEvent[] = []
  let isTooLarge = false
  const parser = createSseParser({
    onEvent: (event) => events.push(event),
    onError: () => {
      isTooLarge = true
    },
  })
  for await (const chunk of body) {
    parser.push(chunk)
    const all = events
    events = []
    yield* all
    if (isTooLarge) throw broken(name, 'sent a piece of its stream that is too large; what it had said is kept.')
  }
}

export function broken(name: string, problem: string, cause?: unknown): MillraceError {
  return new MillraceError('model_failed', { message: `The upstream of ${name} ${problem}`, cause })
}

/** An upstream that ends its stream elsewhere was cut. */
export const cutOff = 'ended its stream in the middle of an answer; what it had said is kept.'

/** Of any JSON value. */
export function parseJson(data: string, name: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    throw notReadable(name)
  }
}

export function parseData(data: string, name: string): Readonly<Record<string, unknown>> {
  const value = parseJson(data, name)
  if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  throw notReadable(name)
}

function notReadable(name: string): MillraceError {
  return broken(name, 'sent a piece of its stream that is not JSON; what it had said is kept.')
}
