/**
 * The keys of one issuer, as a JSON Web Key Set in a file or at an address: read when first needed, again after a while, and
 * when a token names a key that is not among them. An address that fails leaves the keys as they were.
 */
import { readFile } from 'node:fs/promises'
import { MillraceError } from '@millrace/protocol'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { createSendRequest, type SendRequest } from '../outgoing/request.ts'
import { isLoopbackName } from './host-names.ts'

const bytesMax = 256 * 1024
const fetchMsMax = 5000
const freshMs = 10 * 60_000
/** Between two reads: a token can name any key. */
const coolDownMs = 30_000
/** As long as there are no keys, and nobody can be let in. */
const firstCoolDownMs = 1000

export interface KeySetOptions {
  /** Default: private addresses only where the name says so. */
  readonly send?: SendRequest | undefined
  readonly now?: () => number
}

/** Throws a MillraceError for an address without TLS. */
export function createKeySet(
  source: string | URL,
  { send = createSendRequest(), now = () => performance.now() }: KeySetOptions = {},
): JWTVerifyGetKey {
  const read = createSource(source, send)
  let keys: ReturnType<typeof createLocalJWKSet> | undefined
  let readAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  return async (header, token) => {
    if (now() - readAt > freshMs) await refresh()
    try {
      return await requireKeys()(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !(await refresh())) throw error
      return requireKeys()(header, token)
    }
  }

  function requireKeys() {
    if (keys === undefined) throw new MillraceError('keys_unavailable')
    return keys
  }

  /** False where it is too early to read again. */
  async function refresh(): Promise<boolean> {
    const pause = keys === undefined ? firstCoolDownMs : coolDownMs
    if (reading === undefined && now() - triedAt < pause) return false
    reading ??= readOnce().finally(() => {
      reading = undefined
    })
    await reading
    return true
  }

  async function readOnce(): Promise<void> {
    triedAt = now()
    try {
      keys = createLocalJWKSet(JSON.parse(await read()) as JSONWebKeySet)
      readAt = now()
    } catch (cause) {
      // The keys from before still verify: an issuer that is away must not lock out its users.
      if (keys === undefined) throw new MillraceError('keys_unavailable', { cause })
    }
  }
}

function createSource(source: string | URL, send: SendRequest): () => Promise<string> {
  const url = URL.parse(String(source))
  if (url === null) return () => readFile(source, 'utf8')
  if (url.protocol === 'file:') return () => readFile(url, 'utf8')
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackName(url.hostname))) return () => fetchText(url, send)
  const message = `Keys from ${url.protocol}//${url.host} could be replaced on the way; use https:, or a file.`
  throw new MillraceError('invalid_request', { message })
}

/** Follows no redirect: its address is not configured. */
async function fetchText(url: URL, send: SendRequest): Promise<string> {
  const headers = { accept: 'application/json, application/jwk-set+json' }
  const { status, text } = await send(url, { headers, timeoutMs: fetchMsMax, bytesMax })
  if (status !== 200) throw new Error(`${url.origin} responded ${status}`)
  return text
}
