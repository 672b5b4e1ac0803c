/**
 * Share links: everybody who has the token of one may read one session, until it expires or is revoked. The token names its session
 * and has 256 random bits; kept is their SHA-256, in the record of the session. `sessions/records.ts` keeps the records.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { MillraceError } from '@millrace/protocol'
import type { Principal } from './caller.ts'
import { hidingMs, untilNext } from './hiding.ts'

/** A share link as its owner sees it; times in milliseconds since 1970. */
export interface Share {
  readonly id: string
  readonly createdAt: number
  readonly expiresAt: number
}

export interface StoredShare extends Share {
  readonly hash: string
}

/** What is kept of a session's share links. */
export interface ShareStore {
  find(session: string): Promise<readonly StoredShare[]>
  /** Replaces them by what the function returns. Rejects with `invalid_request` where nobody owns the session. */
  change(session: string, change: (before: readonly StoredShare[]) => readonly StoredShare[]): Promise<void>
}

export interface Shares {
  /** Creates a link. Its token is in the result and nowhere else. Rejects with `invalid_request` for too many, and where nobody owns the session. */
  create(session: string, options?: ShareOptions): Promise<Share & { readonly token: string }>
  /** Those of the session, without their tokens. */
  list(session: string): Promise<readonly Share[]>
  /** Its readers end on every server. False where there is no such link. */
  revoke(session: string, id: string): Promise<boolean>
}

export interface ShareOptions {
  /** Seconds until it expires: 60 to 31,536,000, default 604,800 (7 days). */
  readonly ttl?: number | undefined
}

/** What authentication needs of the share links. */
export interface ShareVerifier {
  /** Whether this is meant to be one, and not a token. */
  isShare(text: string): boolean
  /** Rejects with `token_rejected` and `token_expired`, and as the engine does. */
  verify(token: string): Promise<Principal>
}

export interface SharesOptions {
  readonly store: ShareStore
  /** The link no longer exists: what it has opened is to end. */
  readonly onRevoked: (id: string) => Promise<void>
  readonly now?: () => number
}

/** Of the id of a link's principal. */
const prefix = 'share:'
const sharesMax = 100
export const shareTtl = { min: 60, max: 365 * 24 * 60 * 60, default: 7 * 24 * 60 * 60 }
const sharePattern = /^ms_([A-Za-z0-9_-]{1,64})\.([\w-]{43})$/

export function createShares({ store, onRevoked, now = Date.now }: SharesOptions): Shares & ShareVerifier {
  return {
    async create(session, { ttl = shareTtl.default } = {}) {
      if (!Number.isFinite(ttl) || ttl < shareTtl.min || ttl > shareTtl.max)
        throw invalid(`The \`ttl\` of a share link is from ${shareTtl.min} to ${shareTtl.max} seconds.`)
      const secret = randomBytes(32).toString('base64url')
      const createdAt = now()
      const share: Share = { id: randomBytes(12).toString('base64url'), createdAt, expiresAt: createdAt + ttl * 1000 }
      await store.change(session, (before) => {
        const valid = before.filter(({ expiresAt }) => expiresAt > createdAt)
        if (valid.length >= sharesMax) throw invalid(`The session has ${sharesMax} share links already; revoke some.`)
        return [...valid, { ...share, hash: digest(secret).toString('base64url') }]
      })
      return { ...share, token: `ms_${session}.${secret}` }
    },

    async list(session) {
      const found = await store.find(session)
      return found
        .filter(({ expiresAt }) => expiresAt > now())
        .map(({ id, createdAt, expiresAt }) => ({ id, createdAt, expiresAt }))
    },

    async revoke(session, id) {
      let isFound = false
      await store.change(session, (before) => {
        isFound = before.some((share) => share.id === id)
        return before.filter((share) => share.id !== id)
      })
      if (isFound) await onRevoked(id)
      return isFound
    },

    isShare: (text) => text.startsWith('ms_'),

    async verify(token) {
      const startedAt = performance.now()
      const [, session = '', secret = ''] = sharePattern.exec(token) ?? []
      const wanted = digest(secret)
      const isWanted = (share: StoredShare) => timingSafeEqual(Buffer.from(share.hash, 'base64url'), wanted)
      const found = (await store.find(session)).find(isWanted)
      if (found === undefined) {
        await untilNext(startedAt, hidingMs)
        throw new MillraceError('token_rejected')
      }
      const { id, createdAt, expiresAt } = found
      if (expiresAt <= now()) throw new MillraceError('token_expired')
      return { id: `${prefix}${id}`, kind: 'share', may: ['session.read'], sessions: [session], issuedAt: createdAt, expiresAt }
    },
  }
}

/** The id of the link that a principal has; undefined for every other one. */
export function shareOf({ id, kind }: Principal): string | undefined {
  return kind === 'share' && id.startsWith(prefix) ? id.slice(prefix.length) : undefined
}

function digest(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

function invalid(message: string): MillraceError {
  return new MillraceError('invalid_request', { message })
}
