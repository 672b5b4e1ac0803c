/**
 * Tickets: a credential for one connection, used once and within seconds, because an EventSource and a browser's WebSocket
 * can send nothing but their address. Decision 27 says why it is this way.
 *
 * A ticket is the position of an event in one log, and a secret of which that event has the hash. Its use is an append whose
 * key is that hash: the engine decides which of two uses was first, on any node. Retention removes the oldest events first,
 * so a ticket is forgotten before its use is.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { encodeJson, formatPosition, type Json, MillraceError, type Position, parsePosition } from '@millrace/protocol'
import { z } from 'zod'
import type { AppendOptions, Engine, LogEvent } from '../log/log.ts'
import { isDamaged } from '../log/quarantine.ts'
import type { Principal } from './caller.ts'
import { principalSchema } from './claims.ts'

export interface PresentedTicket {
  readonly ticket: string
  /** What the browser got at the first use of a ticket; undefined where it sends none, or cannot keep one. */
  readonly binding: string | undefined
  /** Gives the browser what it has to send to use the ticket again. Absent where a ticket is never used again. */
  readonly bind?: (binding: string, expiresAt: number) => void
}

export interface IssuedTicket {
  readonly ticket: string
  /** When it can no longer be used, in milliseconds since 1970. */
  readonly expiresAt: number
}

/** A ticket as an operator sees it, without the ticket itself. */
export interface ListedTicket {
  readonly id: string
  /** Id of the principal that it is for. */
  readonly principal: string
  /** Milliseconds since 1970. */
  readonly issuedAt: number
  /** When it can no longer be used. */
  readonly expiresAt: number
}

export interface Tickets {
  /** Rejects with `invalid_request` for more grants than a ticket can carry. */
  issue(principal: Principal, ttlSeconds: number): Promise<IssuedTicket>
  /** Rejects with `ticket_rejected`, or as the engine does. */
  redeem(presented: PresentedTicket): Promise<Principal>
  /** Those that can still be used, the newest first. */
  list(): Promise<readonly ListedTicket[]>
  /** False where it cannot be used any more. */
  revoke(id: string): Promise<boolean>
}

/** Not the name of a session or a channel: no client can read or write it. */
const ticketsLog = 'access/tickets'
/** Tickets and uses that the log keeps; an older ticket cannot be used, nor its connection continue. */
const eventsKept = 65_536
/** The newest events among which `list` looks: far more than are issued in the time that tickets are valid. */
const eventsListed = 2000
/** Of a ticket in the log: with all that a token may grant, a few tickets would fill the log and push out those of others. */
const bytesMax = 8192
/** How long a browser continues where the principal itself does not expire. */
const continuedMsMax = 60 * 60_000
const ticketPattern = /^([0-9a-z]{8,32}-[1-9][0-9]{0,15})\.([\w-]{43})$/
const bindingPattern = /^[\w-]{43}$/

const issuedEvent = z.object({ hash: z.string(), ttlMs: z.number(), principal: principalSchema })
const usedEvent = z.object({ ticket: z.string(), binding: z.string() })

export function createTickets(engine: Engine, now: () => number = Date.now): Tickets {
  return {
    async issue(principal, ttlSeconds) {
      const secret = newSecret()
      const issuedAt = now()
      const expiresAt = Math.min(issuedAt + ttlSeconds * 1000, principal.expiresAt ?? Number.POSITIVE_INFINITY)
      if (expiresAt <= issuedAt) throw new MillraceError('token_expired')
      const limited = { ...principal, expiresAt: principal.expiresAt ?? issuedAt + continuedMsMax }
      const data = { hash: digest(secret), ttlMs: expiresAt - issuedAt, principal: limited }
      if (Buffer.byteLength(encodeJson(data as unknown as Json)) > bytesMax)
        throw new MillraceError('invalid_request', {
          message: 'The ticket is for too many names; list fewer sessions and channels.',
        })
      const { position } = await resetIfDamaged(() => append('issued', data))
      return { ticket: `${formatPosition(position)}.${secret}`, expiresAt }
    },

    async redeem({ ticket, binding: presented, bind }) {
      const [, token = '', secret = ''] = ticketPattern.exec(ticket) ?? []
      const position = parsePosition(token)
      if (position === undefined) throw new MillraceError('ticket_rejected')
      const event = await resetIfDamaged(() => readAt(position))
      const issued = issuedEvent.safeParse(event?.data).data
      if (event === undefined || issued === undefined || !isSame(issued.hash, digest(secret)))
        throw new MillraceError('ticket_rejected')
      const known = presented !== undefined && bindingPattern.test(presented) ? presented : undefined
      const binding = known ?? newSecret()
      const used = { ticket: issued.hash, binding: bind === undefined ? '' : digest(binding) }
      // A second use appends nothing, and finds the first.
      const appended = await append('used', used, { epoch: position.epoch, key: issued.hash }).catch(undefinedIfMissing)
      const use = appended && (await readAt(appended.position))
      // By the clock of the engine: those of two nodes may differ.
      if (use === undefined || use.time - event.time > issued.ttlMs) throw new MillraceError('ticket_rejected')
      const isSecond = appended?.duplicate ?? true
      if (isSecond && !(known !== undefined && isSame(usedEvent.parse(use.data).binding, digest(known))))
        throw new MillraceError('ticket_rejected')
      const { principal } = issued
      const { expiresAt = now() } = principal
      if (expiresAt <= now()) throw new MillraceError('token_expired')
      if (!isSecond) bind?.(binding, expiresAt)
      return principal
    },

    async list() {
      const state = await engine.inspect(ticketsLog)
      if (state === undefined) return []
      const { start, head } = state
      const found = new Map<string, ListedTicket>()
      for (let at = { ...head, offset: Math.max(start.offset, head.offset - eventsListed) }; at.offset < head.offset; ) {
        const page = await engine.read(ticketsLog, at)
        for (const event of page.events) note(found, event, head.epoch)
        at = page.position
      }
      return [...found.values()].filter(({ expiresAt }) => expiresAt > now()).reverse()
    },

    async revoke(id) {
      const position = parsePosition(id)
      const event = position && (await readAt(position))
      const issued = issuedEvent.safeParse(event?.data).data
      if (position === undefined || event === undefined || issued === undefined || event.time + issued.ttlMs < now()) return false
      const used = { ticket: issued.hash, binding: '' }
      // As if it had been used by somebody else.
      const appended = await append('used', used, { epoch: position.epoch, key: issued.hash }).catch(undefinedIfMissing)
      return appended?.duplicate === false
    },
  }

  function append(type: string, data: object, options: AppendOptions = {}) {
    return engine.append(ticketsLog, [{ type, data: data as Json }], { keep: eventsKept, ...options })
  }

  /** Undefined where there is no such event, or none any more. */
  async function readAt({ epoch, offset }: Position): Promise<LogEvent | undefined> {
    try {
      // Includes what other nodes have appended.
      await engine.inspect(ticketsLog)
      const { events } = await engine.read(ticketsLog, { epoch, offset: offset - 1 }, { eventsMax: 1 })
      return events[0]?.offset === offset ? events[0] : undefined
    } catch (error) {
      return undefinedIfMissing(error)
    }
  }

  /** Deletes a damaged log: otherwise nobody would get a ticket any more. Those that were issued can no longer be used. */
  async function resetIfDamaged<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      if (!isDamaged(error)) throw error
      await engine.delete(ticketsLog)
      return act()
    }
  }
}

/** Adds a ticket that was issued, or removes one that was used. */
function note(found: Map<string, ListedTicket>, { data, time, offset }: LogEvent, epoch: string): void {
  const issued = issuedEvent.safeParse(data).data
  if (issued === undefined) return void found.delete(usedEvent.parse(data).ticket)
  const { hash, principal, ttlMs } = issued
  const id = formatPosition({ epoch, offset })
  found.set(hash, { id, principal: principal.id, issuedAt: time, expiresAt: time + ttlMs })
}

const missing = new Set<string>(['session_not_found', 'position_foreign', 'position_ahead', 'position_expired'])

function undefinedIfMissing(error: unknown): undefined {
  if (!(error instanceof MillraceError && missing.has(error.code))) throw error
}

function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

function digest(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
