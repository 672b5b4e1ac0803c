/**
 * The key with which webhooks are signed, Ed25519. All servers of an engine have the same one: it is in a log that no
 * client can read. PROTOCOL.md 6.5 of Durable Streams.
 */
import { createPrivateKey, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'
import type { Json } from '@millrace/protocol'
import { z } from 'zod'
import type { Engine } from '../../../log/log.ts'
import { appendAfter, keepLast, readLast, retryChange } from '../last-event.ts'

const keyLog = 'subscription/key'
const storedKey = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), d: z.string() })

export interface SigningKey {
  readonly kid: string
  /** The public half: RFC 7517, RFC 8037. */
  readonly jwk: Readonly<Record<string, string>>
  readonly key: KeyObject
}

export interface Signing {
  /** Creates it where there is none. Rejects as the engine does. */
  open(): Promise<SigningKey>
  /** Retention must not remove it. */
  keep(): Promise<void>
}

export function createSigning(engine: Engine, now: () => number): Signing {
  let known: Promise<SigningKey> | undefined
  return {
    open() {
      known ??= openKey().catch((error) => {
        known = undefined
        throw error
      })
      return known
    },
    keep: () => keepLast(engine, keyLog, now()),
  }

  async function openKey(): Promise<SigningKey> {
    return retryChange(async () => {
      const found = await readLast(engine, keyLog)
      if (found !== undefined) return describe(storedKey.parse(found.event.data))
      const data = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }) as Json
      // Of several servers that start at once, one; the others read what it has written.
      await appendAfter(engine, keyLog, undefined, [{ type: 'key', data }], 1)
      return undefined
    })
  }
}

function describe({ kty, crv, x, d }: z.output<typeof storedKey>): SigningKey {
  // RFC 7638.
  const kid = `ds_${hash('sha256', JSON.stringify({ crv, kty, x }), 'base64url')}`
  const jwk = { kty, crv, x, kid, use: 'sig', alg: 'EdDSA' }
  return { kid, jwk, key: createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' }) }
}

/** The header `Webhook-Signature` of a body that is sent at a time, in milliseconds since 1970. */
export function signatureOf({ kid, key }: SigningKey, body: string, now: number): string {
  const timestamp = Math.floor(now / 1000)
  return `t=${timestamp},kid=${kid},ed25519=${sign(null, Buffer.from(`${timestamp}.${body}`), key).toString('base64url')}`
}
