/**
 * Bodies of requests as events, and events as bodies of answers. An event of a JSON stream is one message; of any other
 * stream, what one request appended.
 */
import { limits, MillraceError } from '@millrace/protocol'
import type { NewEvent } from '../../log/log.ts'
import { invalid, StreamError } from './errors.ts'
import { isJson } from './state.ts'

/** Messages of one request. */
const messagesMax = 10_000

/** Throws where a JSON stream gets another body. An empty array is a body that only a new stream may have. */
export function toEvents(contentType: string, body: Uint8Array, isNew: boolean): NewEvent[] {
  if (body.length === 0) return []
  if (!isJson(contentType)) return [dataEvent(body)]
  const messages = parseMessages(body)
  if (messages.length === 0 && !isNew) throw invalid('The array is empty; send at least one message.')
  if (messages.length > messagesMax) throw new StreamError(413, `The array has more than ${messagesMax} messages; send fewer.`)
  return messages.map((message) => dataEvent(Buffer.from(message)))
}

export function dataEvent(data: Uint8Array): NewEvent {
  return { type: 'data', data }
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

/** What is over the limit is read and dropped, up to this: a client that is still sending would not see the answer. */
const droppedBytesMax = 16 * 1024 * 1024

/** All of a body. Throws `body_too_large`. */
export async function readBody(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const reader = stream?.getReader()
  while (bytes <= droppedBytesMax) {
    const { done = true, value } = (await readNext(reader)) ?? {}
    if (done || value === undefined) break
    bytes += value.byteLength
    if (bytes <= limits.bodyBytesMax) chunks.push(value)
  }
  if (bytes > limits.bodyBytesMax) throw new MillraceError('body_too_large')
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
  if (!isJson(contentType)) return Buffer.concat(messages)
  const parts = messages.flatMap((message, index) => (index === 0 ? [message] : [comma, message]))
  return Buffer.concat([open, ...parts, close])
}

const [open, comma, close] = ['[', ',', ']'].map((mark) => Buffer.from(mark)) as [Buffer, Buffer, Buffer]
