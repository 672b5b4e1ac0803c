/**
 * The SSE transport: a cursor over a log, written to a socket or to a web stream. It sends the first bytes before there is an
 * event, and a heartbeat every period. See PROTOCOL.md#server-sent-events.
 */
import type { Writable } from 'node:stream'
import { streamHeader } from '@millrace/protocol'
import type { Cursor } from '../delivery/cursor.ts'
import type { CursorGroup } from '../delivery/cursor-group.ts'
import type { FanOut } from '../delivery/fan-out.ts'
import type { Scheduler, Task } from '../delivery/scheduler.ts'
import { type Sink, throttled } from '../delivery/wire.ts'
import { nativeControl } from './control-text.ts'
import { eventStreamHeaders } from './event-stream.ts'
import type { Heartbeat } from './heartbeat.ts'
import { createRunWire, formHeaders, type RunWire } from './run-wire.ts'
import { attachBatch } from './sse-batch.ts'
import { SseReader, type SseReaders, type SseSink } from './sse-reader.ts'
import { EndingSink, NodeSink, WebSink } from './sse-sinks.ts'
import { sseWire } from './sse-wire.ts'
import { canBeChunked, type Takeover, takeOver } from './takeover.ts'
import type { Delivery, Exchange, HttpTransport, RespondRun, RunStream } from './transport.ts'

/** What a web stream buffers before its cursor waits. */
const webBufferBytes = 64 * 1024

export interface SseTransport extends HttpTransport {
  readonly respondRun: RespondRun
  /** A client has acknowledged a heartbeat. False where the stream is not one of this server. */
  acknowledge(stream: string): boolean
  /** Closes the connections of streams that have ended on servers of our own, without waiting for their clients. */
  closeEnded(): void
}

export interface SseTransportOptions extends Pick<SseReaders, 'isExcused'> {
  readonly fanOut: FanOut
  readonly scheduler: Scheduler
  readonly heartbeat: Heartbeat
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number
}

type Start = (sink: SseSink) => SseReader

export function createSseTransport(options: SseTransportOptions): SseTransport {
  const { fanOut, scheduler, heartbeat, isExcused, random = Math.random } = options
  const readers: SseReaders = { heartbeat, acknowledging: new Map(), isExcused, random }
  const lingering = new Set<Writable>()

  return {
    headers: eventStreamHeaders,

    respond({ logs, connection, acknowledges }, exchange) {
      const stream = acknowledges ? connection.id : undefined
      const isNamed = acknowledges || connection.expiresAt !== undefined
      const headers = { ...eventStreamHeaders, ...(isNamed && { [streamHeader]: connection.id }) }
      const start: Start = (sink) =>
        new SseReader(readers, nativeControl, sink, connection, stream, (shared) => attach(logs, shared))
      return respond(start, headers, exchange)
    },

    respondRun({ stream, connection }, exchange) {
      const isChunked = exchange.node !== undefined && canBeChunked(exchange.node)
      const { control, ...wire } = createRunWire(stream, isChunked)
      const start: Start = (sink) => {
        const ending = new EndingSink(sink, control)
        return new SseReader(readers, control, ending, connection, undefined, () => attachRun(stream, wire, ending))
      }
      const headers = { ...eventStreamHeaders, ...formHeaders[stream.form], ...stream.headers }
      return respond(start, headers, exchange, isChunked)
    },

    acknowledge(stream) {
      const reader = readers.acknowledging.get(stream)
      reader?.acknowledge()
      return reader !== undefined
    },

    closeEnded() {
      for (const body of lingering) body.destroy()
    },
  }

  function respond(start: Start, headers: Record<string, string>, exchange: Exchange, isChunked = false): Response {
    return exchange.node === undefined
      ? respondWeb(start, headers, exchange.signal)
      : respondNode(start, { ...exchange.node, headers, isChunked })
  }

  /** Takes the socket of Node's response over. */
  function respondNode(start: Start, exchange: Takeover): Response {
    const body = takeOver(exchange)
    scheduler.add(new Uncork(body))
    listen(body, start(new NodeSink(body, exchange.isHosted ? undefined : lingering)))
    // Tells @hono/node-server that the response was written. A clone is a Response of Node: the one that replaces it where the
    // host has called Hono's `serve` is written again whatever its headers say.
    return new Response(null, { headers: { 'x-hono-already-sent': 'true' } }).clone()
  }

  function attachRun(
    { session: log, start, place }: RunStream,
    { wire, encodeRest, encoderAt }: Omit<RunWire, 'control'>,
    sink: Sink,
  ): Cursor {
    if (place === undefined) return fanOut.attach({ log, after: start, wire, sink })
    const rest = encodeRest(place)
    if (rest !== '') sink.write(Buffer.from(rest))
    const cursor = fanOut.attach({ log, after: place.after, wire, sink, encode: encoderAt(place) })
    if (place.isEnd) cursor.end()
    return cursor
  }

  function attach(logs: Delivery['logs'], sink: Sink): Cursor | CursorGroup {
    const [first, ...rest] = logs
    if (first === undefined || rest.length > 0 || !('log' in first))
      return attachBatch({ attach: fanOut.attach, scheduler, logs, sink })
    const { log, after, dialect, slow, intervalMs } = first
    return fanOut.attach({ log, after, wire: throttled(sseWire(dialect), intervalMs), sink, slow })
  }
}

/** Lets a stream's first bytes go, after the tasks of the same tick: the stream's own writes the events that there are already. */
class Uncork implements Task {
  readonly #body: Writable
  #hasWaited = false

  constructor(body: Writable) {
    this.#body = body
  }

  step(): 'more' | 'done' {
    if (!this.#hasWaited) {
      this.#hasWaited = true
      return 'more'
    }
    if (this.#body.writableCorked > 0) this.#body.uncork()
    return 'done'
  }
}

/** In a function of its own, so that these listeners do not hold the request. */
function listen(body: Writable, reader: SseReader): void {
  body.on('drain', () => reader.drained())
  body.once('close', () => reader.close())
  // `close` follows an error, and closes the reader.
  body.on('error', ignore)
  if (body.destroyed) reader.close()
}

function ignore(): void {}

function respondWeb(start: Start, headers: Record<string, string>, signal: AbortSignal): Response {
  let reader: SseReader | undefined
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        reader = start(new WebSink(controller))
      },
      pull: () => reader?.drained(),
      cancel: () => reader?.close(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: webBufferBytes }),
  )
  signal.addEventListener('abort', () => reader?.close(), { once: true })
  if (signal.aborted) reader?.close()
  return new Response(body, { headers })
}
