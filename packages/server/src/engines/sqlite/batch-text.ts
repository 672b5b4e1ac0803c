/**
 * The events of a batch as one text, for the journal: the lines are a type, its data, the next type, and so on. JSON has no
 * line break outside its escapes. Imports no package of Millrace's, because the worker runs it.
 */
import { eventOverheadBytes } from '../../log/event-size.ts'
import type { StoredData, StoredText } from '../shared/packing.ts'

/** A larger batch goes into the tables at once: it is written once, and the journal stays small. */
const textMax = 16 * 1024

export interface NewStored {
  readonly type: string
  readonly data: StoredData
}

export interface NewBatch {
  readonly count: number
  /** As the limits in bytes count it. */
  readonly size: number
  /** For the journal, or the events where the batch goes into the tables. */
  readonly content: string | readonly NewStored[]
}

/** Of a row, as the limits in bytes count it. */
export function sizeOf(data: StoredData): number {
  return eventOverheadBytes + data.length
}

function sizeOfAll(events: readonly NewStored[]): number {
  return events.reduce((sum, { data }) => sum + sizeOf(data), 0)
}

export function toBatch(events: readonly NewStored[]): NewBatch {
  return { count: events.length, size: sizeOfAll(events), content: toText(events) ?? events }
}

/** Undefined when the batch does not belong into the journal. */
function toText(events: readonly NewStored[]): string | undefined {
  let text = ''
  for (const { type, data } of events) {
    if (typeof data !== 'string' || text.length + data.length > textMax || hasControl(type)) return undefined
    text += text === '' ? `${type}\n${data}` : `\n${type}\n${data}`
  }
  return text
}

/** `before` is the offset before the first event. */
export function fromBatchText(text: string, before: number, time: number): StoredText[] {
  const events: StoredText[] = []
  for (let at = 0; at < text.length; ) {
    const data = text.indexOf('\n', at) + 1
    const next = text.indexOf('\n', data)
    const end = next === -1 ? text.length : next
    const offset = before + events.length + 1
    events.push({ offset, type: text.slice(at, data - 1), time, data: text.slice(data, end) })
    at = end + 1
  }
  return events
}

/** A line break, or a character that SQLite's text could not keep. */
function hasControl(type: string): boolean {
  for (let at = 0; at < type.length; at++) if (type.charCodeAt(at) < 0x20) return true
  return type === '' || !type.isWellFormed()
}
