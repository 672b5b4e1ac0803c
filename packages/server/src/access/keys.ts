/**
 * API keys of servers. A key is shown once, when it is created; kept is its SHA-256. That is enough because a key is 256
 * random bits: nobody can find it by trying, so a slow hash, as for passwords, would only slow down every request.
 *
 * All keys are in the newest event of one log, which each change replaces. A change that another node made is noticed by the
 * log's notification, and at the latest when what is known is five seconds old.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Json, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { Engine, LogEvent, LogState } from '../log/log.ts'
import type { Principal } from './caller.ts'
import { keyGrants } from './claims.ts'
import type { PrincipalLimits } from './principal-limits.ts'

export interface ApiKey {
  readonly id: string
  readonly name: string
  /** Patterns of the actions that are allowed; undefined: everything that `anonymous` may do. */
  readonly may?: readonly string[] | undefined
  /** A key has no other limits: it is a server of yours. */
  readonly limits?: PrincipalLimits | undefined
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

export type NewApiKey = Omit<ApiKey, 'id' | 'createdAt'>

export interface ApiKeys {
  /** The key itself is in the result and nowhere else. */
  create(key: NewApiKey): Promise<ApiKey & { readonly key: string }>
  /** All that are accepted, without the keys themselves. */
  list(): Promise<readonly ApiKey[]>
  /** Every server rejects the key from now on. False where there is no such key. */
  revoke(id: string): Promise<boolean>
}

/** What authentication needs of the keys. */
export interface KeyVerifier {
  /** Whether this is meant to be a key, and not a token. */
  isKey(text: string): boolean
  /** Rejects with `token_rejected`, or as the engine does. */
  verify(key: string): Promise<Principal>
}

export interface ApiKeysOptions {
  readonly engine: Engine
  /** A key with `admin.*` that is not kept. */
  readonly adminKey?: string | undefined
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
  /** The key no longer exists: what it has opened is to end. */
  readonly onRevoked?: ((id: string) => Promise<void>) | undefined
  readonly now?: () => number
}

/** Not the name of a session or a channel: no client can read or write it. */
const keysLog = 'access/keys'
const keysMax = 1000
const knownMsMax = 5000
/** Retention must not remove the keys, so they are written again before it can. */
const rewriteMs = 60 * 60_000
const attemptsMax = 8
const keyPattern = /^mr_([\w-]{12})[\w-]{43}$/

const storedKey = keyGrants.extend({ id: z.string(), hash: z.string(), createdAt: z.number() })
const stored = z.object({ keys: z.array(storedKey) })
type StoredKey = z.output<typeof storedKey>

interface Snapshot {
  readonly keys: readonly StoredKey[]
  readonly state: LogState | undefined
  /** When the engine stored it. */
  readonly time: number
}

const none: Snapshot = { keys: [], state: undefined, time: 0 }

export class StoredApiKeys implements ApiKeys, KeyVerifier {
  readonly #engine: Engine
  readonly #adminHash: Buffer | undefined
  readonly #signal: AbortSignal
  readonly #onError: (error: unknown) => void
  readonly #onRevoked: ApiKeysOptions['onRevoked']
  readonly #now: () => number
  #isFollowed = false
  #known: { readonly snapshot: Promise<Snapshot>; readonly at: number } | undefined

  constructor({ engine, adminKey, signal, onError, onRevoked, now = Date.now }: ApiKeysOptions) {
    this.#engine = engine
    this.#adminHash = adminKey === undefined ? undefined : digest(adminKey)
    this.#signal = signal
    this.#onError = onError
    this.#onRevoked = onRevoked
    this.#now = now
  }

  async create(wanted: NewApiKey) {
    const { data, error } = keyGrants.safeParse(wanted)
    if (error !== undefined)
      throw new MillraceError('invalid_request', { message: `The key is invalid: ${z.prettifyError(error)}.` })
    const { name, may, limits } = data
    const id = randomBytes(9).toString('base64url')
    const key = `mr_${id}${randomBytes(32).toString('base64url')}`
    const described = { id, name, ...(may && { may }), ...(limits && { limits }), createdAt: this.#now() }
    await this.#change((keys) => {
      if (keys.length >= keysMax)
        throw new MillraceError('invalid_request', { message: `There are ${keysMax} API keys already; revoke some.` })
      return [...keys, { ...described, hash: digest(key).toString('base64url') }]
    })
    return { ...described, key }
  }

  async list(): Promise<readonly ApiKey[]> {
    return (await this.#read()).keys.map(({ hash: _hash, ...described }) => described)
  }

  async revoke(id: string): Promise<boolean> {
    let isFound = false
    await this.#change((keys) => {
      isFound = keys.some((key) => key.id === id)
      return isFound ? keys.filter((key) => key.id !== id) : undefined
    })
    if (isFound) await this.#onRevoked?.(id)
    return isFound
  }

  isKey(text: string): boolean {
    return text.startsWith('mr_') || this.#isAdmin(text)
  }

  async verify(key: string): Promise<Principal> {
    if (this.#isAdmin(key)) return admin
    const id = keyPattern.exec(key)?.[1]
    if (id === undefined) throw new MillraceError('token_rejected')
    const { keys } = await this.#recent()
    const found = keys.find((each) => each.id === id)
    if (found === undefined || !timingSafeEqual(Buffer.from(found.hash, 'base64url'), digest(key)))
      throw new MillraceError('token_rejected')
    return { id: `key:${id}`, kind: 'server', may: found.may, limits: found.limits, tokenId: id }
  }

  #isAdmin(key: string): boolean {
    return this.#adminHash !== undefined && timingSafeEqual(this.#adminHash, digest(key))
  }

  #recent(): Promise<Snapshot> {
    this.follow()
    if (this.#known === undefined || this.#now() - this.#known.at > knownMsMax) {
      const snapshot = this.#read()
      this.#known = { snapshot, at: this.#now() }
      // The request gets the error; the next one reads again.
      snapshot.catch(() => this.#forget())
    }
    return this.#known.snapshot
  }

  #forget(): void {
    this.#known = undefined
  }

  /** Keeps the keys while the server runs. Watching also keeps an engine from evicting the log. */
  follow(): void {
    if (this.#isFollowed || this.#signal.aborted) return
    this.#isFollowed = true
    const unwatch = this.#engine.watch(keysLog, () => this.#forget())
    const rewrite = () => void this.#rewrite().catch(this.#onError)
    const rewriting = setInterval(rewrite, rewriteMs).unref()
    rewrite()
    this.#signal.addEventListener('abort', () => {
      clearInterval(rewriting)
      unwatch()
    })
  }

  async #rewrite(): Promise<void> {
    const snapshot = await this.#read()
    if (snapshot.keys.length > 0 && this.#now() - snapshot.time > rewriteMs) await this.#append(snapshot, snapshot.keys)
  }

  async #change(change: (keys: readonly StoredKey[]) => readonly StoredKey[] | undefined): Promise<void> {
    this.follow()
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const snapshot = await this.#read()
      const keys = change(snapshot.keys)
      if (keys === undefined || (await this.#append(snapshot, keys))) return this.#forget()
    }
    throw new MillraceError('engine_busy')
  }

  /** False where another node has changed the keys meanwhile. */
  async #append({ state }: Snapshot, keys: readonly StoredKey[]): Promise<boolean> {
    const head = state?.head
    const options = { keep: 1, expect: head?.offset ?? 0, ...(head !== undefined && { epoch: head.epoch }) }
    try {
      await this.#engine.append(keysLog, [{ type: 'keys', data: { keys } as unknown as Json }], options)
      return true
    } catch (error) {
      if (error instanceof MillraceError && (error.code === 'head_moved' || error.code === 'position_foreign')) return false
      throw error
    }
  }

  async #read(): Promise<Snapshot> {
    const state = await this.#engine.inspect(keysLog)
    if (state === undefined || state.head.offset === 0) return { ...none, state }
    const before = { ...state.head, offset: state.head.offset - 1 }
    const { events } = await this.#engine.read(keysLog, before)
    // Of another node's change meanwhile there is a second one.
    const last = events.at(-1) as LogEvent | undefined
    return last === undefined ? { ...none, state } : { keys: stored.parse(last.data).keys, state, time: last.time }
  }
}

const admin: Principal = Object.freeze({ id: 'key:admin', kind: 'server', may: ['admin.*'], tokenId: 'admin' })

function digest(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}
