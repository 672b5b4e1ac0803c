/**
 * What is no longer valid: everything that a user, a token or a session was given before a moment. Every server keeps all of
 * it in memory, because it is checked for each request; what others revoke arrives by a log, and ends open connections.
 *
 * Each event of the log has entries. Retention must not remove them, so they are written again, together, before it can.
 *
 * A share link is no longer valid when its session does not have it. It is here for a moment only, to end what it has opened:
 * users revoke as many of them as they like, and must not take the place of what operators revoke.
 */
import { type Json, MillraceError, type Position } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Appended, AppendOptions, Engine, LogEvent } from '../log/log.ts'
import { isDamaged } from '../log/quarantine.ts'
import type { Principal } from './caller.ts'
import { userId } from './claims.ts'

/** Exactly one of these. */
export type Revocation =
  /** The `sub` of a user. Tokens that it gets later are valid, if they say when they were issued (`iat`). */
  | { readonly sub: string }
  /** The `jti` of a token. */
  | { readonly tokenId: string }
  /** A session that nobody can open any more with what he has now. Servers with an API key still can. */
  | { readonly session: string }

/** As an operator sees it. */
export interface ListedRevocation {
  readonly kind: 'sub' | 'tokenId' | 'session'
  readonly name: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface RevocationsOptions {
  readonly engine: Engine
  /** How long a revocation is kept: no token lives longer. */
  readonly lifetimeMs: number
  /** Something else is no longer valid. */
  readonly onRevoked: () => void
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
  readonly now?: () => number
}

/** Not the name of a session or a channel: no client can read or write it. */
const revocationsLog = 'access/revocations'
const revocationsMax = 50_000
const entriesPerEvent = 1000
const rewriteMs = 60 * 60_000
/** So long a connection may take to open, and clocks may differ. */
const shareMs = 10 * 60_000
const sharesMax = 10_000
/** Of share links, after which the rest is written again. */
const sharesPerRewrite = 1000
/** A notification is lost with the connection to the engine. */
const pollMs = 1000
const movedCodes = new Set<unknown>(['head_moved', 'position_foreign'])

/** Before a log that does not exist. */
const start: Position = { epoch: '', offset: 0 }

const name = z.string().min(1).max(300)
const wanted = z.union([z.strictObject({ sub: userId }), z.strictObject({ tokenId: name }), z.strictObject({ session: name })])
const entry = z.object({ kind: z.enum(['sub', 'tokenId', 'session']), name, at: z.number() })
const shareEntry = z.object({ share: name, at: z.number() })
const stored = z.object({ entries: z.array(entry) })
type Entry = z.output<typeof entry>

export class Revocations {
  readonly #options: RevocationsOptions
  readonly #now: () => number
  /** When each was revoked, by kind and name. */
  readonly #entries = new Map<string, Entry>()
  /** Ids of the principals of share links. */
  readonly #shares: LRUCache<string, true>
  #position = start
  #isLoaded = false
  /** When the engine stored the oldest event whose entries are in no later one. */
  #oldestTime: number | undefined
  #reading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #isFollowed = false

  constructor(options: RevocationsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#shares = new LRUCache({ max: sharesMax, ttl: shareMs, ttlResolution: 0, perf: { now: this.#now } })
  }

  /** Resolves when it is recorded, and applied on this server; on others within a second. */
  async revoke(revocation: Revocation): Promise<void> {
    const { data, error } = wanted.safeParse(revocation)
    if (error !== undefined)
      throw new MillraceError('invalid_request', { message: 'Revoke one of `sub`, `tokenId` and `session`; give exactly one.' })
    const [[kind, of]] = Object.entries(data) as [[Entry['kind'], string]]
    await this.#record({ kind, name: of, at: this.#now() })
  }

  async revokeKey(id: string): Promise<void> {
    await this.#record({ kind: 'sub', name: `key:${id}`, at: this.#now() })
  }

  async revokeShare(id: string): Promise<void> {
    await this.load()
    const data = { share: `share:${id}`, at: this.#now() }
    const { position } = await this.#options.engine.append(revocationsLog, [{ type: 'share', data }])
    await this.#refresh()
    // The offset decides which of the servers does it.
    if (position.offset % sharesPerRewrite === 0) await this.#writeAgain()
  }

  /** Until this has resolved once, nothing is known. Rejects as the engine does. */
  load(): Promise<void> | undefined {
    this.#follow()
    return this.#isLoaded ? undefined : this.#refresh()
  }

  /** What this server knows, in no order. */
  async list(): Promise<readonly ListedRevocation[]> {
    await this.load()
    return [...this.#entries.values()]
  }

  /** Throws `token_revoked`. */
  requirePrincipal({ id, kind, tokenId, issuedAt }: Principal): void {
    // The id of a key is no id of a token.
    const isTokenRevoked = kind === 'user' && tokenId !== undefined && this.#entries.has(keyOf('tokenId', tokenId))
    const isShareRevoked = kind === 'share' && this.#shares.has(id)
    if (isTokenRevoked || isShareRevoked || this.#isRevoked('sub', id, issuedAt)) throw new MillraceError('token_revoked')
  }

  /** Throws `session_not_found`, as if it did not exist. */
  requireSession({ kind, issuedAt }: Principal, session: string): void {
    if (kind !== 'server' && this.#isRevoked('session', session, issuedAt)) throw new MillraceError('session_not_found')
  }

  #isRevoked(kind: Entry['kind'], of: string, issuedAt = 0): boolean {
    return issuedAt <= (this.#entries.get(keyOf(kind, of))?.at ?? Number.NEGATIVE_INFINITY)
  }

  async #record(revoked: Entry): Promise<void> {
    await this.load()
    if (this.#entries.size >= revocationsMax)
      throw new MillraceError('invalid_request', {
        message: `There are ${revocationsMax} revocations; revoke users, not tokens.`,
      })
    await this.#append([revoked])
    await this.#refresh()
  }

  #append(entries: readonly Entry[], type = 'revoked', options: AppendOptions = {}): Promise<Appended> {
    const events = []
    for (let at = 0; at < entries.length; at += entriesPerEvent)
      events.push({ type, data: { entries: entries.slice(at, at + entriesPerEvent) as object as Json } })
    return this.#options.engine.append(revocationsLog, events, {
      ...options,
      ...(options.keep && { keep: options.keep + events.length }),
    })
  }

  /** From the first use on. Watching also keeps an engine from evicting the log. */
  #follow(): void {
    const { engine, signal, onError } = this.#options
    if (this.#isFollowed || signal.aborted) return
    this.#isFollowed = true
    // Where the engine is unavailable, requests are checked with what is known, and the next poll reads again.
    const refresh = () => void this.#refresh().catch(() => {})
    const unwatch = engine.watch(revocationsLog, refresh)
    const polling = engine.isShared === true ? setInterval(refresh, pollMs).unref() : undefined
    const rewriting = setInterval(() => void this.rewrite().catch(onError), rewriteMs / 4).unref()
    signal.addEventListener('abort', () => {
      clearInterval(polling)
      clearInterval(rewriting)
      unwatch()
    })
  }

  /** Reads what is new, also what was appended while an earlier call was reading. */
  #refresh(): Promise<void> {
    if (this.#next !== undefined) return this.#next
    const next = this.#reading.then(() => {
      this.#next = undefined
      return this.#read()
    })
    this.#next = next
    this.#reading = next.catch(() => {})
    return next
  }

  async #read(): Promise<void> {
    const { engine, onRevoked } = this.#options
    const head = (await engine.inspect(revocationsLog))?.head
    const isOther = (head?.epoch ?? '') !== this.#position.epoch
    // Of a log that was lost.
    const known = isOther ? [...this.#entries.values()] : []
    if (isOther) this.#position = { epoch: head?.epoch ?? '', offset: 0 }
    try {
      while (head !== undefined && this.#position.offset < head.offset) {
        const page = await engine.read(revocationsLog, this.#position)
        const changes = page.events.filter((event) => this.#apply(event))
        this.#position = page.position
        if (changes.length > 0) onRevoked()
      }
    } catch (error) {
      // Otherwise what a lost log had would not be written again.
      if (known.length > 0) this.#position = start
      if (!isDamaged(error)) throw error
      await engine.delete(revocationsLog)
      return this.#read()
    }
    this.#isLoaded = true
    if (known.length > 0) this.#position = { ...(await this.#append(known)).position, offset: 0 }
  }

  /** False where all of it was known. */
  #apply({ type, data, time }: LogEvent): boolean {
    if (type === 'share') return this.#applyShare(shareEntry.parse(data))
    let isNew = false
    if (type === 'kept') this.#oldestTime = time
    this.#oldestTime ??= time
    for (const found of stored.parse(data).entries) {
      const key = keyOf(found.kind, found.name)
      if (this.#isForgotten(found) || found.at <= (this.#entries.get(key)?.at ?? 0)) continue
      this.#entries.set(key, found)
      isNew = true
    }
    return isNew
  }

  #applyShare({ share, at }: z.output<typeof shareEntry>): boolean {
    if (this.#now() - at > shareMs) return false
    this.#shares.set(share, true)
    return true
  }

  #isForgotten({ at }: Entry): boolean {
    return this.#now() - at > this.#options.lifetimeMs
  }

  /** Replaces old events by new ones with what must still be kept. */
  async rewrite(): Promise<void> {
    await this.#refresh()
    for (const [key, found] of this.#entries) if (this.#isForgotten(found)) this.#entries.delete(key)
    if (this.#oldestTime !== undefined && this.#now() - this.#oldestTime >= rewriteMs) await this.#writeAgain()
  }

  async #writeAgain(): Promise<void> {
    if (this.#entries.size === 0) return
    const { epoch, offset } = this.#position
    try {
      // What other servers have not read yet stays.
      await this.#append([...this.#entries.values()], 'kept', { epoch, expect: offset, keep: sharesPerRewrite })
    } catch (error) {
      // Another server has revoked something, or has written them again.
      if (!(error instanceof MillraceError && movedCodes.has(error.code))) throw error
    }
  }
}

function keyOf(kind: Entry['kind'], of: string): string {
  return `${kind} ${of}`
}
