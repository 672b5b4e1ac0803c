/**
 * The SSE transport: a cursor over a log, written to a socket or to a web stream. It sends the first bytes before there is an
 * event, and a heartbeat every period. See PROTOCOL.md#server-sent-events.
 */
import type { Writable } from 'node:stream'
import { streamHeader } from '@millrace/protocol'
import type { Cursor } from '../delivery/cursor.ts'
import type { CursorGroup } from '../delivery/cursor-group.ts'
import type { FanOut } from '../delivery/fan-out.ts'
import type { Scheduler } from '../delivery/scheduler.ts'
import { type Sink, throttled } from '../delivery/wire.ts'
import { eventStreamHeaders } from './event-stream.ts'
import type { Heartbeat } from './heartbeat.ts'
import { attachBatch } from './sse-batch.ts'
import { SseReader, type SseSink } from './sse-reader.ts'
import { sseWire } from './sse-wire.ts'
import { takeOver } from './takeover.ts'
import type { Delivery, Exchange, HttpTransport } from './transport.ts'

/** The client closes after the last event; the server closes after this time. */
const lingerMs = 10_000
/** What a web stream buffers before its cursor waits. */
const webBufferBytes = 64 * 1024

export interface SseTransport extends HttpTransport {
  /** A client has acknowledged a heartbeat. False where the stream is not one of this server. */
  acknowledge(stream: string): boolean
}

export interface SseTransportOptions {
  readonly fanOut: FanOut
  readonly scheduler: Scheduler
  readonly heartbeat: Heartbeat
  /** Names a stream whose heartbeats are acknowledged. MUST NOT be guessable. */
  readonly newStream: () => string
  /** True where acknowledgements since then, by `performance.now`, may have been lost on the way. */
  readonly isExcused: (since: number) => boolean
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number
}

export function createSseTransport(options: SseTransportOptions): SseTransport {
  const { fanOut, scheduler, heartbeat, newStream, isExcused, random = Math.random } = options
  /** Those that acknowledge heartbeats, by the names of their streams. */
  const readers = new Map<string, SseReader>()

  return {
    headers: eventStreamHeaders,

    respond(delivery, exchange) {
      const stream = delivery.acknowledges ? newStream() : undefined
      const headers = { ...eventStreamHeaders, ...(stream !== undefined && { [streamHeader]: stream }) }
      const start = (sink: SseSink) => startReader(delivery, stream, sink)
      return exchange.node === undefined
        ? respondWeb(start, headers, exchange.signal)
        : respondNode(start, headers, exchange.node)
    },

    acknowledge(stream) {
      const reader = readers.get(stream)
      reader?.acknowledge()
      return reader !== undefined
    },
  }

  function startReader({ logs, connection }: Delivery, stream: string | undefined, sink: SseSink): SseReader {
    const reader = new SseReader({
      sink,
      attach: (shared) => attach(logs, shared),
      acknowledges: stream !== undefined,
      isExcused,
      random,
    })
    if (stream !== undefined) readers.set(stream, reader)
    const leaveHeartbeat = heartbeat.join((clock) => reader.beat(clock))
    reader.onceClosed(() => {
      leaveHeartbeat()
      if (stream !== undefined) readers.delete(stream)
      connection.close()
    })
    connection.serve(reader)
    return reader
  }

  function attach(logs: Delivery['logs'], sink: Sink): Cursor | CursorGroup {
    const [first, ...rest] = logs
    if (first === undefined || rest.length > 0 || !('log' in first))
      return attachBatch({ attach: fanOut.attach, scheduler, logs, sink })
    const { log, after, dialect, slow, intervalMs } = first
    return fanOut.attach({ log, after, wire: throttled(sseWire(dialect), intervalMs), sink, slow })
  }
}

type Start = (sink: SseSink) => SseReader

/** Takes the socket of Node's response over. */
function respondNode(
  start: Start,
  headers: Record<string, string>,
  { request, response }: NonNullable<Exchange['node']>,
): Response {
  const body = takeOver(request, response, headers)
  const reader = start(nodeSink(body))
  body.on('drain', () => reader.drained())
  body.once('close', () => reader.close())
  // `close` follows an error, and closes the reader.
  body.on('error', () => {})
  if (body.destroyed) reader.close()
  // Tells @hono/node-server that the response was written.
  return new Response(null, { headers: { 'x-hono-already-sent': 'true' } })
}

function respondWeb(start: Start, headers: Record<string, string>, signal: AbortSignal): Response {
  let reader: SseReader | undefined
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        reader = start(webSink(controller))
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

function nodeSink(body: Writable): SseSink {
  return {
    write: (bytes) => body.write(bytes),
    end() {
      body.end()
      // The client may never read what is left, nor close.
      const timer = setTimeout(() => body.destroy(), lingerMs)
      timer.unref()
      body.once('close', () => clearTimeout(timer))
    },
    destroy: () => body.destroy(),
  }
}

function webSink(controller: ReadableStreamDefaultController<Uint8Array>): SseSink {
  return {
    write(bytes) {
      // A copy: the host may transfer the chunk, and these bytes are shared by all readers.
      controller.enqueue(new Uint8Array(bytes))
      return (controller.desiredSize ?? 0) > 0
    },
    end: () => controller.close(),
    destroy: () => controller.error(new Error('The reader has not read for too long.')),
  }
}
