/** Reads a server's streams as a client does, event by event. */
import { createSseParser, type ParsedSseEvent } from '@millrace/protocol'
import { onTestFinished } from 'vitest'

export interface OpenStream extends AsyncDisposable {
  readonly response: Response
  /** Events in order of arrival. */
  readonly events: ParsedSseEvent[]
  readonly comments: string[]
  /** The next event; rejects when the stream ends first. */
  next(): Promise<ParsedSseEvent>
  /** All events up to the end of the stream. */
  rest(): Promise<ParsedSseEvent[]>
  /** Events up to and including the first of this type. */
  until(type: string): Promise<ParsedSseEvent[]>
  close(): void
}

export async function openStream(url: string, init: RequestInit = {}): Promise<OpenStream> {
  const abort = new AbortController()
  onTestFinished(() => abort.abort())
  const response = await fetch(url, { ...init, signal: abort.signal })
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
  return readStream(response, () => abort.abort())
}

export function readStream(response: Response, close: () => void): OpenStream {
  const events: ParsedSseEvent[] = []
  const comments: string[] = []
  let taken = 0
  const parser = createSseParser({ onEvent: (event) => events.push(event), onComment: (comment) => comments.push(comment) })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()

  async function read(): Promise<boolean> {
    const { done, value } = await reader.read()
    if (value !== undefined) parser.push(value)
    return !done
  }
  async function next(): Promise<ParsedSseEvent> {
    while (taken >= events.length) {
      if (!(await read())) throw new Error(`The stream ended after ${events.length} events`)
    }
    return events[taken++] as ParsedSseEvent
  }
  return {
    response,
    events,
    comments,
    next,
    close,
    async rest() {
      while (await read());
      const rest = events.slice(taken)
      taken = events.length
      return rest
    },
    async until(type) {
      const seen: ParsedSseEvent[] = []
      do seen.push(await next())
      while (seen.at(-1)?.event !== type)
      return seen
    },
    async [Symbol.asyncDispose]() {
      close()
    },
  }
}

export const data = (event: ParsedSseEvent): Record<string, unknown> => JSON.parse(event.data)

/** The text of a stream's deltas. */
export function textOf(events: readonly ParsedSseEvent[]): string {
  return events
    .filter(({ event }) => event === 'message')
    .map((event) => data(event).text)
    .join('')
}

export const counted = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index} `).join('')
