/** The headers of requests that write, checked. Each function throws a StreamError for what the protocol does not allow. */
import { mediaTypePattern } from '@millrace/protocol'
import type { AppendRequest } from './append.ts'
import { invalid, StreamError } from './errors.ts'
import type { Producer } from './state.ts'

export interface CreateRequest {
  /** Absent where the client named none: a fork has the type of its source. */
  readonly contentType?: string
  readonly ttl?: number
  readonly expiresAt?: string
  readonly isClosed: boolean
  readonly fork?: ForkRequest
}

export interface ForkRequest {
  readonly from: string
  readonly offset?: string
  readonly subOffset: number
}

/** Of `Stream-Seq` and `Producer-Id`, which are kept in the state of the stream. */
const textLengthMax = 256
const wholeNumber = /^(0|[1-9][0-9]{0,15})$/
/** Of the same origin as the page of this server, whose policy allows its own scripts and styles. */
const executable = /script|\/css$/

export function readCreate(headers: Headers): CreateRequest {
  const contentType = readContentType(headers)
  const ttl = readTtl(headers.get('stream-ttl'))
  const expiresAt = readExpiry(headers.get('stream-expires-at'))
  if (ttl !== undefined && expiresAt !== undefined) throw invalid('Send Stream-TTL or Stream-Expires-At, not both.')
  const fork = readFork(headers)
  return {
    ...(contentType !== undefined && { contentType }),
    ...(ttl !== undefined && { ttl }),
    ...(expiresAt !== undefined && { expiresAt }),
    isClosed: isTrue(headers.get('stream-closed')),
    ...(fork !== undefined && { fork }),
  }
}

export function readAppend(headers: Headers, hasBody: boolean): AppendRequest {
  const isClosing = isTrue(headers.get('stream-closed'))
  const producer = readProducer(headers)
  const seq = headers.get('stream-seq') ?? undefined
  if (seq !== undefined && seq.length > textLengthMax) throw invalid(`Stream-Seq is longer than ${textLengthMax} characters.`)
  if (!hasBody && !isClosing) throw invalid('The body is empty; send what to append, or Stream-Closed: true.')
  // A client library may declare a type also where there is no body.
  const contentType = hasBody ? readContentType(headers) : undefined
  if (hasBody && contentType === undefined) throw invalid('Send the Content-Type of the stream.')
  return {
    hasBody,
    isClosing,
    ...(contentType !== undefined && { contentType }),
    ...(seq !== undefined && { seq }),
    ...(producer !== undefined && { producer }),
  }
}

function readContentType(headers: Headers): string | undefined {
  const text = headers.get('content-type')?.trim()
  if (text === undefined || text === '') return undefined
  const type = (text.split(';', 1)[0] as string).trim()
  if (text.length > textLengthMax || !mediaTypePattern.test(type)) throw invalid('The Content-Type is not a media type.')
  if (executable.test(type.toLowerCase())) throw new StreamError(415, 'This server keeps no scripts and style sheets.')
  return text
}

function readTtl(text: string | null): number | undefined {
  if (text === null) return undefined
  if (!wholeNumber.test(text)) throw invalid('Stream-TTL is not a whole number of seconds.')
  return Number(text)
}

/** RFC 3339. */
function readExpiry(text: string | null): string | undefined {
  if (text === null) return undefined
  const isDate = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i.test(text)
  if (!isDate || Number.isNaN(Date.parse(text))) throw invalid('Stream-Expires-At is not a time as in RFC 3339.')
  return text
}

function readFork(headers: Headers): ForkRequest | undefined {
  const from = headers.get('stream-forked-from')
  const offset = headers.get('stream-fork-offset') ?? undefined
  const subOffset = headers.get('stream-fork-sub-offset')
  if (from === null) {
    if (offset === undefined && subOffset === null) return undefined
    throw invalid('Stream-Fork-Offset and Stream-Fork-Sub-Offset need Stream-Forked-From.')
  }
  if (subOffset !== null && !wholeNumber.test(subOffset)) throw invalid('Stream-Fork-Sub-Offset is not a whole number.')
  return { from, ...(offset !== undefined && { offset }), subOffset: Number(subOffset ?? 0) }
}

function readProducer(headers: Headers): Producer | undefined {
  const fields = ['producer-id', 'producer-epoch', 'producer-seq'].map((name) => headers.get(name))
  if (fields.every((field) => field === null)) return undefined
  const [id, epoch, seq] = fields.map((field) => field ?? '') as [string, string, string]
  if (fields.includes(null)) throw invalid('Send Producer-Id, Producer-Epoch and Producer-Seq together.')
  if (id === '' || id.length > textLengthMax) throw invalid(`Producer-Id has 1 to ${textLengthMax} characters.`)
  return [id, readCount('Producer-Epoch', epoch), readCount('Producer-Seq', seq)]
}

function readCount(name: string, text: string): number {
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) throw invalid(`${name} is not a whole number.`)
  return Number(text)
}

/** Every other value is no close. */
function isTrue(text: string | null): boolean {
  return text?.toLowerCase() === 'true'
}
