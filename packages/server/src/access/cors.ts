/**
 * Lets pages of the allowed origins read the responses of the API: the Fetch standard, "CORS protocol". An origin is
 * repeated only when it is in the list, never because a request names it.
 */
import { streamHeader } from '@millrace/protocol'
import type { ReadHeader } from './host-names.ts'

type Fields = Readonly<Record<string, string>>

export interface Cors {
  /** Headers of every response of the API to a request with this `Origin`, `vary` among them. */
  headersFor(origin: string | undefined): Fields
  /** Headers of the response to a preflight of an allowed page; undefined for every other request. */
  preflightFor(method: string, header: ReadHeader): Fields | undefined
}

/** For as long as a browser keeps what a preflight allows; a page that changed its server waits at most so. */
const keptSeconds = 600

/** Undefined where no other origin is allowed. */
export function createCors(origins: readonly string[] = []): Cors | undefined {
  if (origins.length === 0) return undefined
  const allowed = new Map(origins.map((origin) => [origin, allow(origin)]))
  return {
    headersFor: (origin) => allowed.get(origin ?? '') ?? others,
    preflightFor(method, header) {
      if (method !== 'OPTIONS' || header('access-control-request-method') === undefined) return undefined
      if (!allowed.has(header('origin') ?? '')) return undefined
      const named = (header('access-control-request-headers') ?? '').toLowerCase().split(/\s*,\s*/)
      const headers = [...requestHeaders, ...named.filter((name) => ofVendors.test(name))]
      return { ...preflight, 'access-control-allow-headers': headers.join(', ') }
    },
  }
}

/** A cache must not give the response for one origin to another. */
const others: Fields = { vary: 'origin' }

/** With credentials: the cookie of a ticket, and the login of a host. */
function allow(origin: string): Fields {
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': `${streamHeader}, ${responseHeaders.join(', ')}`,
    vary: 'origin',
  }
}

/** Of uploads, and of the protocols that faces speak, in both directions. */
const sharedHeaders = ['upload-complete', 'upload-length', 'upload-offset', 'producer-epoch', 'producer-seq', 'stream-closed']

const responseHeaders = [
  'content-range',
  'etag',
  'location',
  'producer-expected-seq',
  'producer-received-seq',
  'retry-after',
  'stream-cursor',
  'stream-expires-at',
  'stream-next-offset',
  'stream-sse-data-encoding',
  'stream-ttl',
  'stream-up-to-date',
  'www-authenticate',
  'x-request-id',
  'x-should-retry',
  'x-workflow-run-id',
  'x-workflow-stream-tail-index',
  ...sharedHeaders,
]

const requestHeaders = [
  'authorization',
  'content-type',
  'idempotency-key',
  'if-none-match',
  'if-range',
  'last-event-id',
  'producer-id',
  'range',
  'stream-expires-at',
  'stream-fork-offset',
  'stream-fork-sub-offset',
  'stream-forked-from',
  'stream-seq',
  'stream-ttl',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-api-key',
  'x-run-id',
  ...sharedHeaders,
]

/** The clients of OpenAI and Anthropic say with these where they run and which versions they have, more with each release. */
const ofVendors = /^(x-stainless|openai|anthropic)-[a-z-]{1,64}$/

const preflight: Fields = {
  'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
  'access-control-max-age': String(keptSeconds),
}
