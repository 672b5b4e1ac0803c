/**
 * Streams of one tab, read by several: a request for a source that is being read joins its stream. Only the
 * first begins where it wants; the others are brought up to it by single answers (`live=poll`), which hold no
 * connection.
 */
import { type Gap, parsePosition, type Source } from '@millrace/protocol'
import type { OwnCarrier } from '../carrier.ts'
import { handedOver, unreachable } from '../errors.ts'
import { toError } from '../http.ts'
import { deadConnection } from '../transports/socket-connection.ts'
import type { StreamHandlers, StreamRequest, Transport, TransportName } from '../transports/transport.ts'

/** Events kept of each stream: enough for a reader to come from an answer to the stream without a second answer. */
const recentMax = 64
/** An event of more bytes is not kept, nor what is before it. */
const recentBytesMax = 16_384
/** Answers that may be needed to catch up with a stream that runs on. */
const answersMax = 20

interface RecentEvent {
  readonly before: string | undefined
  readonly name: string
  readonly id: string
  readonly data: unknown
}

interface SharedStream {
  readonly abort: AbortController
  readonly from: string
  isOpen: boolean
  readonly whenOpen: PromiseWithResolvers<void>
  /** Where its next event begins. */
  position: string | undefined
  recent: RecentEvent[]
  /** True for those that are given each event as it comes. */
  readonly readers: Map<StreamRequest, boolean>
}

export interface Hub {
  readonly transports: Readonly<Record<TransportName, Transport>>
  /** Ends every stream: another tab has them now. */
  close(): void
}

export function createHub({ transports, pollOnce }: Pick<OwnCarrier, 'transports' | 'pollOnce'>): Hub {
  const streams = new Map<string, SharedStream>()
  const open = (name: TransportName): Transport => ({ open: (request) => join(name, request) })

  return {
    transports: { sse: open('sse'), hybrid: open('sse'), ws: open('ws'), poll: open('poll') },
    close() {
      for (const key of streams.keys()) end(key, undefined, handedOver)
    },
  }

  function join(name: TransportName, request: StreamRequest): void {
    // What is shared is read whole: one attachment of a socket cannot have the flow options of two tabs.
    const { slow: _slow, interval: _interval, ...source } = request.source
    const key = `${name} ${JSON.stringify(source)}`
    const stream = streams.get(key) ?? begin(key, name, source, request.from)
    const isAtStart = !stream.isOpen && stream.from === request.from
    stream.readers.set(request, isAtStart)
    request.signal.addEventListener('abort', () => {
      if (!stream.readers.delete(request)) return
      // What is silent for one is silent for all.
      const isDead = request.signal.reason === deadConnection
      if (isDead || stream.readers.size === 0) end(key, isDead ? deadConnection : undefined)
    })
    if (!isAtStart) {
      catchUp(stream, request).catch((error: unknown) => {
        if (stream.readers.delete(request)) request.on.failed(toError(error))
      })
    }
  }

  function begin(key: string, name: TransportName, source: Source, from: string): SharedStream {
    const stream: SharedStream = {
      abort: new AbortController(),
      from,
      isOpen: false,
      whenOpen: Promise.withResolvers(),
      position: parsePosition(from) && from,
      recent: [],
      readers: new Map(),
    }
    streams.set(key, stream)
    // After the first reader has its place.
    const onFailed = () => streams.delete(key)
    queueMicrotask(() => {
      transports[name].open({ source, from, signal: stream.abort.signal, on: distribute(stream, onFailed) })
    })
    return stream
  }

  function end(key: string, reason?: unknown, error = unreachable('The shared stream ended.')): void {
    const stream = streams.get(key)
    if (stream === undefined) return
    streams.delete(key)
    stream.abort.abort(reason)
    stream.whenOpen.resolve()
    for (const { on } of drain(stream)) on.failed(error)
  }

  async function catchUp(stream: SharedStream, request: StreamRequest): Promise<void> {
    const { source, from, signal, on } = request
    let position = from
    for (let answers = 0; answers < answersMax; answers++) {
      if (answers > 0) await stream.whenOpen.promise
      if (!stream.readers.has(request) || (stream.isOpen && goLive(stream, request, position))) return
      const answer = await pollOnce(source, position, signal)
      if (!stream.readers.has(request)) return
      if (answers === 0) on.opened()
      for (const { event, id, data } of answer.events) on.event(event, id, data)
      on.reached(answer.position)
      position = answer.position
    }
    throw unreachable('The stream is always ahead.')
  }
}

/** Passes what arrives on a shared stream to its live readers, and keeps the recent events for those that join. */
function distribute(stream: SharedStream, onFailed: () => void): StreamHandlers {
  return {
    opened() {
      stream.isOpen = true
      stream.whenOpen.resolve()
      broadcast(stream, (on) => on.opened())
    },
    received: (clock) => broadcast(stream, (on) => on.received(clock)),
    retry: (milliseconds) => broadcast(stream, (on) => on.retry(milliseconds)),
    event(name, id, data) {
      stream.recent.push({ before: stream.position, name, id, data })
      if (stream.recent.length > recentMax) stream.recent.shift()
      // Files are not kept here: a reader that joins meanwhile requests a second page.
      if (sizeOf(data) > recentBytesMax) stream.recent = []
      stream.position = name === 'gap' ? (data as Gap).to : id
      broadcast(stream, (on) => on.event(name, id, data))
    },
    reached(position) {
      if (position === stream.position) return
      stream.position = position
      stream.recent = []
      broadcast(stream, (on) => on.reached(position))
    },
    failed(error) {
      onFailed()
      stream.whenOpen.resolve()
      for (const { on } of drain(stream)) on.failed(error)
    },
  }
}

/** True when the stream goes on for this reader without a hole. */
function goLive(stream: SharedStream, request: StreamRequest, position: string): boolean {
  const { recent, readers } = stream
  const next = recent.findIndex(({ before }) => before === position)
  const isAhead = stream.position !== undefined && isAtOrAfter(position, stream.position)
  if (next === -1 && !isAhead) return false
  readers.set(request, true)
  request.on.opened()
  // Says where the stream's next event begins, which is not where this reader is: what it has had it drops.
  if (isAhead) request.on.reached(stream.position as string)
  else for (const { name, id, data } of recent.slice(next)) request.on.event(name, id, data)
  return true
}

/** About, and not of what is nested: text and bytes are what is large. */
function sizeOf(data: unknown): number {
  if (typeof data === 'string') return data.length
  if (data instanceof Uint8Array) return data.byteLength
  return Object.values(data ?? {}).reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 0), 0)
}

function isAtOrAfter(position: string, other: string): boolean {
  const [a, b] = [parsePosition(position), parsePosition(other)]
  return a !== undefined && a.epoch === b?.epoch && a.offset >= b.offset
}

function broadcast({ readers }: SharedStream, call: (on: StreamHandlers) => void): void {
  for (const [{ on }, isLive] of readers) if (isLive) call(on)
}

function drain({ readers }: SharedStream): readonly StreamRequest[] {
  const all = [...readers.keys()]
  readers.clear()
  return all
}
