/**
 * A reader that is cheap enough not to be the bottleneck: it counts events in the bytes without building strings of
 * them, and takes the latency of all events of every 16th read, or of every read.
 */
import { connect, type Socket } from 'node:net'
import { frameCounter, sseCounter } from './counters.ts'
import { nowMicros, stampLength } from './due.ts'

const defaultField = Buffer.from('"text":"')
const idField = Buffer.from('\nid: ')
const quotedIdField = Buffer.from('"id":"')

export interface Tally {
  events: number
  reads: number
  /** Milliseconds from the moment an event was due. */
  readonly latencies: number[]
}

export const newTally = (): Tally => ({ events: 0, reads: 0, latencies: [] })

export interface Reader {
  readonly socket: Socket
  /** Offset of the first and the last event: compared with `events`, they show losses and repeats. */
  first: number
  last: number
  events: number
}

export interface ReaderOptions {
  readonly port: number
  readonly request: string
  /** For a WebSocket: the message to send once it is open. */
  readonly say?: object | undefined
  readonly tally: () => Tally
  /** Samples every read, if there are few. */
  readonly isExact?: boolean | undefined
  /** What stands before the text of a token; default `"text":"`. */
  readonly field?: string | undefined
  readonly onFirstBytes?: () => void
  readonly onFirstEvent?: () => void
  readonly onRead?: (reader: Reader) => void
  readonly onClose?: () => void
}

export function openReader(options: ReaderOptions): Reader {
  const { port, request, say, tally, isExact = false, onFirstBytes, onFirstEvent, onRead, onClose } = options
  const textField = options.field === undefined ? defaultField : Buffer.from(options.field)
  const countEvents = say === undefined ? sseCounter() : frameCounter()
  let begun = false
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      // Each read reuses the reader's buffer; nothing of it is kept.
      buffer: Buffer.allocUnsafeSlow(16 * 1024),
      callback(length, buffer) {
        if (!begun) {
          begun = true
          if (say !== undefined) socket.write(maskedFrame(JSON.stringify(say)))
          onFirstBytes?.()
        }
        count((buffer as Buffer).subarray(0, length))
        onRead?.(reader)
        return true
      },
    },
  })
  const reader: Reader = { socket, first: 0, last: 0, events: 0 }
  socket.on('error', () => {})
  if (onClose) socket.once('close', onClose)
  socket.write(request)
  return reader

  function count(chunk: Buffer): void {
    const counts = tally()
    counts.reads += 1
    const events = countEvents(chunk)
    if (events === 0) return
    if (reader.events === 0) onFirstEvent?.()
    counts.events += events
    reader.events += events
    if (isExact || counts.reads % 16 === 0) sample(chunk, counts, textField)
    const field = say === undefined ? idField : quotedIdField
    if (reader.first === 0) reader.first = offsetAfter(chunk, field, chunk.indexOf(field)) ?? 0
    reader.last = offsetAfter(chunk, field, chunk.lastIndexOf(field)) ?? reader.last
  }
}

function sample(chunk: Buffer, { latencies }: Tally, textField: Buffer): void {
  const now = nowMicros()
  for (let at = chunk.indexOf(textField); at !== -1; at = chunk.indexOf(textField, at)) {
    at += textField.length
    // A stamp that is split between two reads gives no sample.
    if (at + stampLength > chunk.length) return
    latencies.push((now - Number(chunk.toString('latin1', at, at + stampLength))) / 1000)
  }
}

function offsetAfter(chunk: Buffer, field: Buffer, at: number): number | undefined {
  if (at === -1) return undefined
  // A token that is split between two reads gives no sample: the next one does.
  const [, offset] = /^[^\n"]*-(\d+)[\n"]/.exec(chunk.toString('latin1', at + field.length, at + field.length + 130)) ?? []
  return offset === undefined ? undefined : Number(offset)
}

export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] as number
}

/** Clients must mask their frames; a mask of zeros keeps the payload. */
function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.of(0x81, 0x80 | payload.length, 0, 0, 0, 0), payload])
}
