/**
 * The events of a batch as one text, for the journal: the lines are a type, its data, the next type, and so on. JSON has no
 * line break outside its escapes. Imports no package of Millrace's, because the worker runs it.
 */
import type { StoredData, StoredText } from '../shared/packing.ts'

/** A larger batch goes into the tables at once: it is written once, and the journal stays small. */
const textMax = 16 * 1024
/** Of each event beside its data, as the limits in bytes count it. */
const overheadBytes = 100

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
  return overheadBytes + data.length
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

/** `last` is the offset of the last event. */
export function fromBatchText(text: string, last: number, time: number): StoredText[] {
  if (text === '') return []
  const lines = text.split('\n')
  const before = last - lines.length / 2
  return Array.from({ length: lines.length / 2 }, (_, index) => ({
    offset: before + index + 1,
    type: lines[2 * index] as string,
    time,
    data: lines[2 * index + 1] as string,
  }))
}

/** A line break, or a character that SQLite's text could not keep. */
function hasControl(type: string): boolean {
  for (let at = 0; at < type.length; at++) if (type.charCodeAt(at) < 0x20) return true
  return type === '' || !type.isWellFormed()
}
