/** Requests as the checks need them: over a connection of their own, without decompressing, and each event with its time. */
import { type IncomingHttpHeaders, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import type { Duplex, Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress, constants as zlib } from 'node:zlib'
import { createSseParser } from '@millrace/protocol'

/** The server that is examined. */
export interface Target {
  /** Ends with a slash. */
  readonly base: URL
  /** Whether its certificate is verified. A token is sent only where it is. */
  readonly isVerified: boolean
  /** Ends everything. */
  readonly signal: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

export interface Arrival {
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
  /** When its last byte arrived: milliseconds of a monotonic clock. */
  readonly at: number
}

export interface StreamAnswer extends Answer {
  readonly events: readonly Arrival[]
  /** The beginning of a body that is no stream. */
  readonly text: string
  readonly startedAt: number
  readonly endedAt: number
}

interface Ask {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Without these, some proxies treat a request differently from that of a browser. */
const browserHeaders = { accept: 'text/event-stream', 'accept-encoding': 'gzip, deflate, br, zstd', 'cache-control': 'no-cache' }
const textMax = 4096
const eventsMax = 32

/** For the status and the headers. Rejects where there is no response. */
export async function ask(target: Target, asked: Ask): Promise<Answer & { readonly text: string }> {
  const { response, headers, status } = await send(target, { ...asked, headers: { accept: '*/*', ...asked.headers } })
  return { status, headers, text: await readStart(response) }
}

/** The beginning of a body, which may be any length. Never rejects. */
export async function readStart(body: Readable): Promise<string> {
  let text = ''
  try {
    for await (const chunk of body) {
      text += String(chunk)
      if (text.length > textMax) break
    }
  } catch {
    // The beginning is enough.
  }
  return text
}

/** Reads to the end, or to where the connection is cut. Rejects where there is no response. */
export async function readStream(target: Target, asked: Ask): Promise<StreamAnswer> {
  const startedAt = performance.now()
  const { response, headers, status } = await send(target, { ...asked, headers: { ...browserHeaders, ...asked.headers } })
  const events: Arrival[] = []
  const parser = createSseParser({
    onEvent: ({ event, data }) => events.push({ event, data: parseObject(data), at: performance.now() }),
  })
  let text = ''
  try {
    for await (const chunk of decode(response, headers['content-encoding'])) {
      parser.push(chunk as Uint8Array)
      if (text.length < textMax) text += String(chunk)
      // Not a stream of ours.
      if (events.length > eventsMax) break
    }
  } catch {
    // Cut: the events say how far it came.
  }
  return { status, headers, events, text, startedAt, endedAt: performance.now() }
}

/** The path as the server sees it, behind a prefix of the address. */
export function addressOf({ base }: Target, path: string): URL {
  return new URL(path.replace(/^\//, ''), base)
}

async function send(target: Target, { method = 'GET', path, headers }: Ask) {
  const url = addressOf(target, path)
  const request = url.protocol === 'https:' ? requestTls : requestPlain
  const { promise, resolve, reject } = Promise.withResolvers<Readable & { statusCode?: number; headers: IncomingHttpHeaders }>()
  const sent = request(url, {
    method,
    headers: { ...headers },
    agent: false,
    rejectUnauthorized: target.isVerified,
    signal: target.signal,
  })
  sent.once('response', resolve).once('error', reject).end()
  const response = await promise
  // The connection may be cut when nobody listens any more.
  response.on('error', () => {})
  return { response, headers: response.headers, status: response.statusCode ?? 0 }
}

/** Compressed events are decompressed as far as they were flushed, as a browser does. */
function decode(body: Readable, encoding: string | undefined): Readable {
  const decoder = decoders[encoding ?? '']?.()
  if (decoder === undefined) return body
  body.once('error', (error) => decoder.destroy(error))
  return body.pipe(decoder)
}

const decoders: Readonly<Record<string, () => Duplex>> = {
  gzip: () => createGunzip({ flush: zlib.Z_SYNC_FLUSH }),
  deflate: () => createInflate({ flush: zlib.Z_SYNC_FLUSH }),
  br: () => createBrotliDecompress({ flush: zlib.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdDecompress({ flush: zlib.ZSTD_e_flush }),
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
