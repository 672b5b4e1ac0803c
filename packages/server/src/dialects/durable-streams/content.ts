/**
 * Bodies of requests as events, and events as bodies of answers. An event of a JSON stream has the text of some messages with
 * commas between; one of any other stream has what one request appended.
 */
import { MillraceError } from '@millrace/protocol'
import type { NewEvent } from '../../log/log.ts'
import { invalid, StreamError } from './errors.ts'
import { isJson } from './state.ts'

/** The producer of the published client sends 1 MiB of messages, the last one and a comma after each. */
export const bodyBytesMax = 3 * 1024 * 1024
/** What is over the limit is read and dropped, up to this: a client that is still sending would not see the answer. */
const droppedBytesMax = 16 * 1024 * 1024
/** Of the messages in one event, unless it is only one. */
const messagesBytesMax = 64 * 1024

/** Throws where a JSON stream gets another body. An empty array is a body that only a new stream may have. */
export function toEvents(contentType: string, body: Uint8Array, isNew: boolean): NewEvent[] {
  if (body.length === 0) return []
  if (!isJson(contentType)) return [dataEvent(body)]
  const messages = parseMessages(body)
  if (messages.length === 0 && !isNew) throw invalid('The array is empty; send at least one message.')
  return groupMessages(messages).map((group) => dataEvent(Buffer.from(group)))
}

export function dataEvent(data: Uint8Array): NewEvent {
  return { type: 'data', data }
}

function groupMessages(messages: readonly string[]): string[] {
  const groups: string[] = []
  let group: string[] = []
  let length = 0
  for (const message of messages) {
    if (length > 0 && length + message.length > messagesBytesMax) {
      groups.push(group.join(','))
      group = []
      length = 0
    }
    group.push(message)
    length += message.length + 1
  }
  return group.length === 0 ? groups : [...groups, group.join(',')]
}

/** One level of an array is flattened. */
function parseMessages(body: Uint8Array): string[] {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    // Throws where it is nested too deeply.
    return (Array.isArray(value) ? value : [value]).map((message) => JSON.stringify(message))
  } catch {
    throw invalid('The body is not valid JSON.')
  }
}

/** The first messages of an event, or bytes; and how many it has. */
export function takeFirst(
  contentType: string,
  data: Uint8Array,
  count: number,
): { readonly first: Uint8Array; readonly size: number } {
  if (!isJson(contentType)) return { first: data.subarray(0, count), size: data.length }
  const messages = JSON.parse(`[${Buffer.from(data).toString()}]`) as unknown[]
  const first = messages.slice(0, count).map((message) => JSON.stringify(message))
  return { first: Buffer.from(first.join(',')), size: messages.length }
}

/** All of a body. Throws a StreamError where it is too large. */
export async function readBody(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const reader = stream?.getReader()
  while (bytes <= droppedBytesMax) {
    const { done = true, value } = (await readNext(reader)) ?? {}
    if (done || value === undefined) break
    bytes += value.byteLength
    if (bytes <= bodyBytesMax) chunks.push(value)
  }
  if (bytes > bodyBytesMax) throw new StreamError(413, 'The body is larger than 3 MiB; send less at a time.')
  return Buffer.concat(chunks)
}

async function readNext(reader: ReadableStreamDefaultReader<Uint8Array> | undefined) {
  try {
    return await reader?.read()
  } catch (cause) {
    // The client has left, and does not get this error.
    throw new MillraceError('malformed_http', { cause })
  }
}

/** The messages of a JSON stream as an array, the bytes of another one after each other. */
export function joinMessages(contentType: string, messages: readonly Uint8Array[]): Uint8Array {
  const { start, next, end } = joiner(contentType)
  return Buffer.concat([start, next(messages), end])
}

/** The same in pieces. */
export function joiner(contentType: string) {
  const [start, comma, end] = (isJson(contentType) ? ['[', ',', ']'] : ['', '', '']).map((mark) => Buffer.from(mark)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  let isFirst = true
  const next = (messages: readonly Uint8Array[]): Uint8Array => {
    const parts = messages.flatMap((message, index) => (isFirst && index === 0 ? [message] : [comma, message]))
    isFirst &&= messages.length === 0
    return Buffer.concat(parts)
  }
  return { start, next, end }
}
