/**
 * The SSE transport: a cursor over a log, written to a socket or to a web stream. It sends the first
 * bytes before there is anything to say, beats every 15 s, and lets a client go that has not taken a
 * byte between two beats, or has not answered one although it had begun to. See PROTOCOL.md#server-sent-events.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'
import {
  encodeJson,
  encodeSseComment,
  encodeSseEvent,
  encodeSseRetry,
  type MillraceError,
  streamHeader,
} from '@millrace/protocol'
import type { Cursor } from '../delivery/cursor.ts'
import type { CursorGroup } from '../delivery/cursor-group.ts'
import type { FanOut } from '../delivery/fan-out.ts'
import type { Scheduler } from '../delivery/scheduler.ts'
import { type Sink, throttled } from '../delivery/wire.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { ReadableLog, UnreadableLog } from './logs.ts'
import { attachBatch } from './sse-batch.ts'
import { sseWire } from './sse-wire.ts'
import { takeOver } from './takeover.ts'

export { isTakenOver } from './takeover.ts'

export const sseHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  // no-transform keeps proxies from compressing, which would hold events back; nginx obeys the third.
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
} as const

/** After the last event the client closes; one that does not is cut after so long. */
const lingerMs = 10_000
/** An answer has so much time also where heartbeats are closer: it is a request of its own. */
const answerMsMin = 1000
/** What a web stream holds before its cursor waits. */
const webBufferBytes = 64 * 1024

export interface SseStream {
  /** At least one that can be read. With several, their events come as batches. */
  readonly logs: readonly (ReadableLog | UnreadableLog)[]
  /** The reader answers every heartbeat; from its first answer on it is cut at the next when it does not. */
  readonly isAnswered?: boolean
  /** Its place among all connections; closed once when the reader has gone or the stream has ended. */
  readonly connection?: {
    /** Calls when the connection is to be ended because of an error, at once where it was already. */
    onTerminated(call: (error: MillraceError) => void): void
    close(): void
  }
}

export interface SseTransport {
  /** Writes the stream to a Node response, whose socket it takes over. */
  serve(stream: SseStream, request: IncomingMessage, response: ServerResponse): void
  /** The stream as a web-standard response. The signal aborts when the client has gone: not every host then cancels the body. */
  respond(stream: SseStream, signal: AbortSignal): Response
  /** A reader has answered. False where the stream is not one of these. */
  acknowledge(stream: string): boolean
  /** Connections that are open now. */
  readonly connections: number
  /** Of all connections. */
  cursors(): Iterable<Cursor>
  /**
   * Ends so many connections, whose readers come back elsewhere within a second. Infinity ends all of them; together
   * they would be a wave, and come back as after a cut.
   */
  drain(count: number): void
}

export interface SseTransportOptions {
  readonly fanOut: FanOut
  readonly scheduler: Scheduler
  readonly heartbeat: Heartbeat
  /** Names a stream whose heartbeats are answered. MUST NOT be guessable. */
  readonly newStream: () => string
  /** Answers since then, by `performance.now`, may not have come through: no reader is cut for the lack of one. */
  readonly isExcused: (since: number) => boolean
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number
}

/** What a reader owes that has said it would answer heartbeats. */
interface Answer {
  readonly stream: string
  /**
   * When the first heartbeat was sent after which nothing has come. Infinity before the first answer: where something
   * on the way drops the name of the stream or the answers, the reader would be cut again and again.
   */
  dueAt: number | undefined
}

interface SseSink extends Sink {
  /** Cuts the connection without a goodbye. */
  destroy(): void
}

export function createSseTransport(options: SseTransportOptions): SseTransport {
  const { fanOut, scheduler, heartbeat, newStream, isExcused, random = Math.random } = options
  const open = new Map<Cursor | CursorGroup, SseSink>()
  /** By the names of their streams. */
  const answers = new Map<string, Answer>()

  return {
    serve(stream, request, response) {
      const { answer, headers } = prepare(stream)
      const body = takeOver(request, response, headers)
      const cursor = start(stream, nodeSink(body), answer)
      body.on('drain', () => cursor.drained())
      body.once('close', () => cursor.close())
      // An error is followed by close, which is where the cursor is let go.
      body.on('error', () => {})
      if (body.destroyed) cursor.close()
    },

    respond(stream, signal) {
      let cursor: Cursor | CursorGroup | undefined
      const { answer, headers } = prepare(stream)
      const body = new ReadableStream<Uint8Array>(
        {
          start: (controller) => {
            cursor = start(stream, webSink(controller), answer)
          },
          pull: () => cursor?.drained(),
          cancel: () => cursor?.close(),
        },
        new ByteLengthQueuingStrategy({ highWaterMark: webBufferBytes }),
      )
      signal.addEventListener('abort', () => cursor?.close(), { once: true })
      if (signal.aborted) cursor?.close()
      return new Response(body, { headers })
    },

    acknowledge(stream) {
      const answer = answers.get(stream)
      if (answer !== undefined) answer.dueAt = undefined
      return answer !== undefined
    },

    get connections() {
      return open.size
    },

    *cursors() {
      for (const reader of open.keys()) {
        if ('cursors' in reader) yield* reader.cursors
        else yield reader
      }
    },

    drain(count) {
      for (const [cursor, peer] of [...open].slice(0, count)) {
        // Whoever is cut, or goes with all others, waits longer: there, nobody spreads them but their own retry.
        if (count < Number.POSITIVE_INFINITY) peer.write(Buffer.from(encodeSseRetry(100 + Math.floor(random() * 900))))
        cursor.end()
      }
    },
  }

  function prepare({ isAnswered }: SseStream): { answer?: Answer; headers: Record<string, string> } {
    if (!isAnswered) return { headers: sseHeaders }
    const answer = { stream: newStream(), dueAt: Number.POSITIVE_INFINITY }
    return { answer, headers: { ...sseHeaders, [streamHeader]: answer.stream } }
  }

  function start({ logs, connection }: SseStream, peer: SseSink, answer?: Answer): Cursor | CursorGroup {
    // Clients that were cut together must not come back together.
    peer.write(Buffer.from(encodeSseRetry(1000 + Math.floor(random() * 2000)) + encodeSseComment('millrace')))
    if (answer !== undefined) answers.set(answer.stream, answer)
    let stalledAt: number | undefined
    const leaveHeartbeat = heartbeat.join((clock) => {
      if (answer?.dueAt !== undefined && isOverdue(answer) && isExcused(answer.dueAt)) answer.dueAt = undefined
      if (isOverdue(answer) || (cursor.blocked && stalledAt === cursor.offset)) {
        cursor.close()
        peer.destroy()
      } else if (cursor.blocked) {
        stalledAt = cursor.offset
      } else {
        peer.write(Buffer.from(encodeSseComment(`${clock}`)))
        stalledAt = undefined
        if (answer !== undefined) answer.dueAt ??= performance.now()
      }
    })
    const cursor = attach(logs, { write: peer.write, end: peer.end })
    open.set(cursor, peer)
    cursor.onceClosed(() => {
      leaveHeartbeat()
      open.delete(cursor)
      if (answer !== undefined) answers.delete(answer.stream)
      connection?.close()
    })
    connection?.onTerminated((error) => {
      if (cursor.closed) return
      peer.write(Buffer.from(encodeSseEvent({ event: 'error', data: encodeJson(error.toBody()) })))
      cursor.end()
    })
    return cursor
  }

  function attach(logs: SseStream['logs'], sink: Sink): Cursor | CursorGroup {
    const [first, ...rest] = logs
    if (first === undefined || rest.length > 0 || !('log' in first))
      return attachBatch({ attach: fanOut.attach, scheduler, logs, sink })
    const { log, after, dialect, slow, intervalMs } = first
    return fanOut.attach({ log, after, wire: throttled(sseWire(dialect), intervalMs), sink, slow })
  }
}

function isOverdue(answer: Answer | undefined): boolean {
  return answer?.dueAt !== undefined && performance.now() - answer.dueAt >= answerMsMin
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
      // A copy: whoever reads the stream may transfer its chunks, and these bytes are everybody's.
      controller.enqueue(new Uint8Array(bytes))
      return (controller.desiredSize ?? 0) > 0
    },
    end: () => controller.close(),
    destroy: () => controller.error(new Error('The reader has not read for too long.')),
  }
}
