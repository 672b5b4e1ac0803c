/** What an append is in the stream: one message, so that it is stored completely or not at all. */
import { type Json, MillraceError } from '@millrace/protocol'
import type { EventData, LogEvent, NewEvent } from '../../log/log.ts'

export interface Batch {
  /** No other batch has it, whatever the stream has lost. */
  readonly id: string
  /** Id of the batch before it in its log, '' for the first. */
  readonly after: string
  readonly epoch: string
  /** Of its last event, or of the log's head where it has none. */
  readonly last: number
  readonly count: number
  readonly time: number
  /** Offset before the oldest event that is kept after it. */
  readonly start: number
  readonly key: string | undefined
  /** The log goes on under this epoch: its end was lost, and somebody has noticed. */
  readonly isRenewed: boolean
  /** The log ends here; the next batch begins another. */
  readonly isEnd: boolean
  /** Bytes as they stand in the stream. */
  readonly size: number
  readonly events: readonly LogEvent[]
}

type Written = readonly [
  id: string,
  after: string,
  epoch: string,
  last: number,
  time: number,
  start: number,
  key: string | 0,
  events: readonly WrittenEvent[],
  isRenewed?: 1,
]
type WrittenEvent = readonly [type: string, data: Json, isBytes?: 1]

export interface NewBatch {
  readonly id: string
  readonly after: string
  readonly epoch: string
  readonly last: number
  readonly time: number
  readonly start: number
  readonly key: string | undefined
  readonly events: readonly NewEvent[]
  readonly isRenewed?: boolean
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const quote = 0x22

export function encodeBatch({ id, after, epoch, last, time, start, key, events, isRenewed }: NewBatch): Uint8Array {
  const written = events.map(({ type, data }): WrittenEvent => {
    return data instanceof Uint8Array ? [type, Buffer.from(data).toString('base64'), 1] : [type, data]
  })
  const plain: Written = [id, after, epoch, last, time, start, key ?? 0, written]
  return encoder.encode(JSON.stringify(isRenewed ? [...plain, 1] : plain))
}

/** A batch that says nothing but that the log ends. */
export function encodeEnd(id: string): Uint8Array {
  return encoder.encode(JSON.stringify([id]))
}

/** Without decoding the rest. */
export function idOf(data: Uint8Array): string {
  return decoder.decode(data.subarray(2, data.indexOf(quote, 2)))
}

/** Throws `log_damaged` where it is not as an engine has written it. */
export function decodeBatch(data: Uint8Array): Batch {
  try {
    return decode(data)
  } catch (cause) {
    throw new MillraceError('log_damaged', { cause })
  }
}

function decode(data: Uint8Array): Batch {
  const parsed: unknown = JSON.parse(decoder.decode(data))
  if (!isWritten(parsed)) throw new TypeError('A message in the stream is no batch.')
  const [id = '', after = '', epoch = '', last = 0, time = 0, start = 0, key = 0, written = [], isRenewed] = parsed
  const first = last - written.length + 1
  const events = written.map(([type, value, isBytes], index): LogEvent => {
    const given: EventData = isBytes ? new Uint8Array(Buffer.from(value as string, 'base64')) : value
    return { offset: first + index, type, time, data: given }
  })
  return {
    id,
    after,
    epoch,
    last,
    count: written.length,
    time,
    start,
    key: key === 0 ? undefined : key,
    isRenewed: isRenewed === 1,
    isEnd: epoch === '',
    size: data.byteLength,
    events,
  }
}

/** A batch, or an end. */
function isWritten(parsed: unknown): parsed is Partial<Written> {
  if (!Array.isArray(parsed) || typeof parsed[0] !== 'string') return false
  const [, after, epoch, last, time, start, , events] = parsed as unknown[]
  const hasNumbers = [last, time, start].every((each) => typeof each === 'number')
  const isBatch = typeof after === 'string' && typeof epoch === 'string' && hasNumbers
  return parsed.length === 1 || (isBatch && Array.isArray(events) && events.every((event) => typeof event?.[0] === 'string'))
}
