/**
 * A batch: the events of one append as one message in the stream, so that it is stored completely or not at all. Each
 * states what a log needs to be opened, so that its last batch is all that has to be read for that.
 */
import { MillraceError } from '@millrace/protocol'
import type { LogEvent, NewEvent } from '../../log/log.ts'
import { decodeData, type EncodedEvent, encodeEvents } from '../shared/event-text.ts'

/** The keys of a log and the offset of each key's last event; or the sequence of the message that lists them. */
export type Keys = readonly KeyEntry[] | number
export type KeyEntry = readonly [key: string, last: number]
/** There are no keys, or there are too many to list them in a message. */
export const noKeys = 0
export const unlistedKeys = -1

/** What a batch states of its log. */
export interface BatchHeader {
  /** Unique, whatever the stream has lost. */
  readonly id: string
  /** Id of the batch before it in its log, '' for the first. */
  readonly after: string
  readonly epoch: string
  /** Offset of its last event, or of the log's head if it has no events. */
  readonly last: number
  readonly time: number
  /** Offset before the oldest event that is kept after it. */
  readonly start: number
  /** Bytes of the batches that are kept before it. */
  readonly bytesBefore: number
  /** Time of the oldest batch that is kept, or earlier. */
  readonly oldestTime: number
  readonly key: string | undefined
  readonly keys: Keys
  /** The log continues under this epoch, because it has lost its end. */
  readonly isRenewed: boolean
}

export interface NewBatch extends BatchHeader {
  readonly events: readonly NewEvent[]
}

export interface Batch extends BatchHeader {
  readonly count: number
  /** The log ends here; the next batch begins another one. */
  readonly isEnd: boolean
  /** Bytes of the message. */
  readonly size: number
  readonly events: readonly LogEvent[]
}

type Encoded = readonly [
  id: string,
  after: string,
  epoch: string,
  last: number,
  time: number,
  start: number,
  bytesBefore: number,
  oldestTime: number,
  key: string | 0,
  keys: Keys,
  events: readonly EncodedEvent[],
  isRenewed?: 1,
]

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const quote = 0x22

export function encodeBatch(batch: NewBatch): Uint8Array {
  const { id, after, epoch, last, time, start, bytesBefore, oldestTime, key, keys, events, isRenewed } = batch
  const encoded = encodeEvents(events)
  const plain: Encoded = [id, after, epoch, last, time, start, bytesBefore, oldestTime, key ?? 0, keys, encoded]
  return encoder.encode(JSON.stringify(isRenewed ? [...plain, 1] : plain))
}

/** A batch that states only that the log ends. */
export function encodeEnd(id: string): Uint8Array {
  return encoder.encode(JSON.stringify([id]))
}

/** The id of an encoded batch, without decoding the rest. */
export function idOf(data: Uint8Array): string {
  return decoder.decode(data.subarray(2, data.indexOf(quote, 2)))
}

/** Throws `log_damaged` if no engine has written the message. */
export function decodeBatch(data: Uint8Array): Batch {
  try {
    return decode(data)
  } catch (cause) {
    throw new MillraceError('log_damaged', { cause })
  }
}

function decode(data: Uint8Array): Batch {
  const parsed: unknown = JSON.parse(decoder.decode(data))
  if (!isEncoded(parsed)) throw new TypeError('A message in the stream is not a batch.')
  const [id = '', after = '', epoch = '', last = 0, time = 0, start = 0, bytesBefore = 0, oldestTime = 0, ...rest] = parsed
  const [key = 0, keys = noKeys, encoded = [], isRenewed] = rest
  const first = last - encoded.length + 1
  const events = encoded.map(
    (event, index): LogEvent => ({ offset: first + index, type: event[0], time, data: decodeData(event) }),
  )
  return {
    id,
    after,
    epoch,
    last,
    count: encoded.length,
    time,
    start,
    bytesBefore,
    oldestTime,
    key: key === 0 ? undefined : key,
    keys,
    isRenewed: isRenewed === 1,
    isEnd: epoch === '',
    size: data.byteLength,
    events,
  }
}

/** A batch, or an end. */
function isEncoded(parsed: unknown): parsed is Partial<Encoded> {
  if (!Array.isArray(parsed) || typeof parsed[0] !== 'string') return false
  const [, after, epoch, last, time, start, bytesBefore, oldestTime, , keys, events] = parsed as unknown[]
  const hasNumbers = [last, time, start, bytesBefore, oldestTime].every((each) => typeof each === 'number')
  const hasKeys = typeof keys === 'number' || (Array.isArray(keys) && keys.every((entry) => Array.isArray(entry)))
  const hasEvents = Array.isArray(events) && events.every((event) => typeof event?.[0] === 'string')
  const isBatch = typeof after === 'string' && typeof epoch === 'string' && hasNumbers && hasKeys && hasEvents
  return parsed.length === 1 || isBatch
}
