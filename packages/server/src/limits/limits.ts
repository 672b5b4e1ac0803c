/** Asked before anything is done for a client. What is rejected spends nothing. */
import { randomUUID } from 'node:crypto'
import { MillraceError } from '@millrace/protocol'
import { addressKey } from '../access/address-key.ts'
import type { Caller, Principal } from '../access/caller.ts'
import type { PrincipalLimit } from '../access/principal-limits.ts'
import type { Counters } from '../log/log.ts'
import type { Observer } from '../operations/observer.ts'
import type { RunPlace } from '../runs/admission.ts'
import { Buckets, burstSeconds } from './bucket.ts'
import type { FindExhausted } from './budget.ts'
import type { LimitName, LimitSettings } from './options.ts'
import { createPlaces } from './places.ts'
import { createRate, type Rate } from './rates.ts'

/** Who is limited: a caller, or as much of it as the host's own code names. */
export type Asker = Pick<Caller, 'principal' | 'address'>

/** Rates of a principal, and the seconds over which each is counted. */
const windows = {
  requestsPerSecond: burstSeconds,
  publishesPerSecond: burstSeconds,
  ticketsPerMinute: 60,
  runsPerMinute: 60,
  uploadBytesPerDay: 24 * 60 * 60,
} as const satisfies { readonly [name in PrincipalLimit]?: number }

/** What protects a server, and not its owner's money: no request waits for the engine because of it. */
const isOfNode = (name: string) => name === 'requestsPerSecond'

export type RateName = keyof typeof windows

/** Limits of each connection, also on an open server. */
const ofConnections: ReadonlySet<PrincipalLimit> = new Set(['messagesPerSecond', 'bytesPerSecond', 'subscriptions'])

export interface Limits {
  readonly settings: LimitSettings
  /** Before a client is identified. Throw `rate_limited`. */
  requireRequest(address: string | undefined, path: string): void
  requireHandshake(address: string | undefined): void
  requireBody(address: string | undefined, bytes: number): void
  /** Counts something that a principal is about to do. Rejects with `rate_limited`. Undefined where nothing limits it. */
  take(name: RateName, asker: Asker, amount?: number): Promise<void> | undefined
  /** Who is counted: the principal, and where many are the same one, their address. */
  keyOf(asker: Asker): string
  /** Takes the place of a run. Rejects with `too_many_runs`, `rate_limited` or `budget_exhausted`. */
  admitRun(asker: Asker): Promise<RunPlace | undefined>
  /** The same for a principal that the host's own code names. */
  admitNamed(id: string): Promise<RunPlace | undefined>
  /** What a principal may use, by its own limits or the defaults. Infinite where nothing limits it. */
  of(principal: Principal, name: PrincipalLimit): number
}

export interface LimitsOptions {
  readonly settings: LimitSettings
  /** Nobody is asked who he is: principals are not limited. */
  readonly isOpen: boolean
  readonly counters?: Counters | undefined
  /** Default: nobody has a budget. */
  readonly findExhausted?: FindExhausted | undefined
  readonly observer?: Pick<Observer, 'limitHit'>
  readonly now?: () => number
}

/** Where a client acknowledges heartbeats. */
export const heartbeatPath = '/api/heartbeat'

/** Longer than a run may take: the place of a run whose server died is free again then. */
const placeSlackMs = 60_000

export function createLimits(options: LimitsOptions): Limits {
  const { settings, isOpen, counters, findExhausted, observer = {}, now = () => performance.now() } = options
  const requests = new Buckets(settings.requestsPerAddress)
  const heartbeats = new Buckets(settings.requestsPerAddress)
  const handshakes = new Buckets(settings.handshakesPerAddress)
  const bytes = new Buckets(settings.bytesPerAddress)
  const places = createPlaces(counters)
  const rates = Object.fromEntries(
    Object.entries(windows).map(([name, seconds]) => [name, createRate(name, seconds, isOfNode(name) ? undefined : counters)]),
  ) as Record<RateName, Rate>

  return {
    settings,
    // Counted apart: who floods the address of others closes none of their streams by it.
    requireRequest: (address, path) =>
      requireBucket(path === heartbeatPath ? heartbeats : requests, 'requestsPerAddress', address, 1),
    requireHandshake: (address) => requireBucket(handshakes, 'handshakesPerAddress', address, 1),
    requireBody: (address, size) => requireBucket(bytes, 'bytesPerAddress', address, size),
    of,
    take(name, asker, amount = 1) {
      const max = of(asker.principal, name)
      return max === Number.POSITIVE_INFINITY ? undefined : take(name, asker, max, amount)
    },
    keyOf,
    admitRun,
    admitNamed: (id) => admitRun({ principal: { id, kind: 'user' }, address: undefined }),
  }

  async function admitRun(asker: Asker): Promise<RunPlace | undefined> {
    const { principal } = asker
    const inFlight = of(principal, 'runsInFlight')
    const perMinute = of(principal, 'runsPerMinute')
    const exhausted = await findExhausted?.(principal.id, {
      tokensPerDay: of(principal, 'tokensPerDay'),
      costPerDay: of(principal, 'costPerDay'),
    })
    if (exhausted !== undefined) throw hit(exhausted.limit, exhausted.error, asker)
    if (inFlight === Number.POSITIVE_INFINITY && perMinute === Number.POSITIVE_INFINITY) return undefined
    const key = keyOf(asker)
    // Not the run: an attempt of another server with the same id must not give its place back.
    const holder = randomUUID()
    const placeMs = settings.runMsMax + placeSlackMs
    if (inFlight < Number.POSITIVE_INFINITY && !(await places.hold(`runs ${key}`, holder, inFlight, placeMs))) {
      const message = `You have ${inFlight} runs in progress, which is the limit; wait until one has ended.`
      throw hit('runsInFlight', new MillraceError('too_many_runs', { message, retryAfter: 1 }), asker)
    }
    const leave = () => places.release(`runs ${key}`, holder)
    try {
      await take('runsPerMinute', asker, perMinute)
    } catch (error) {
      leave()
      throw error
    }
    return {
      leave,
      giveBack() {
        leave()
        void rates.runsPerMinute.add(key, -1)
      },
    }
  }

  function requireBucket(buckets: Buckets, name: LimitName, address: string | undefined, amount: number): void {
    const waitMs = buckets.take(addressKey(address), amount, now())
    if (waitMs > 0) throw hit(name, rateLimited('Your network sends too much', waitMs), { address })
  }

  async function take(name: RateName, asker: Asker, max: number, amount = 1): Promise<void> {
    if (max === Number.POSITIVE_INFINITY) return
    const key = keyOf(asker)
    const { sum, leftMs } = await rates[name].add(key, amount)
    const most = name.endsWith('PerSecond') ? max * windows[name] : max
    if (sum <= most) return
    void rates[name].add(key, -amount)
    throw hit(name, rateLimited(`The limit is ${max} ${words(name)}`, leftMs), asker)
  }

  function of({ kind, limits }: Principal, name: PrincipalLimit): number {
    const own = limits?.[name]
    if (own !== undefined) return own
    if (ofConnections.has(name)) return settings[name]
    // A server of the operator's own, or everybody.
    if (kind === 'server' || (kind === 'anonymous' && isOpen && name !== 'uploadsInFlight')) return Number.POSITIVE_INFINITY
    return settings[name]
  }

  function hit(limit: LimitName, error: MillraceError, { principal, address }: Partial<Asker>): MillraceError {
    observer.limitHit?.({ limit, code: error.code, principal: principal?.id, address })
    return error
  }
}

/** `anonymous` and a share link are not one user: each address is limited by itself. */
function keyOf({ principal: { id, kind }, address }: Asker): string {
  return kind === 'anonymous' || kind === 'share' ? `${id} ${addressKey(address)}` : `${kind} ${id}`
}

/** `runsPerMinute` as `runs per minute`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function rateLimited(what: string, waitMs: number): MillraceError {
  const retryAfter = Math.max(1, Math.ceil(Math.min(waitMs, 60_000) / 1000))
  return new MillraceError('rate_limited', { message: `${what}; try again in ${retryAfter} s.`, retryAfter })
}
