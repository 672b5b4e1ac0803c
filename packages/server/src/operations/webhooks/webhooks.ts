/**
 * Tells other systems what has happened, over HTTP: an observer. An event is delivered at least once while this process lives;
 * what waits is in memory, and is lost with it. No event contains text of a conversation.
 */
import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { SendRequest } from '../../outgoing/request.ts'
import type { LimitHit, Observer } from '../observer.ts'
import type { Delivery } from './delivery.ts'
import { WebhookSender } from './sender.ts'
import type { Target, WebhookEvent } from './target.ts'

export interface WebhooksOptions {
  readonly targets: readonly Target[]
  readonly send: SendRequest
  readonly version: string
  /** Called for each delivery that has failed or was dropped. */
  readonly onError: (error: unknown) => void
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
  readonly random?: () => number
}

export interface Webhooks {
  readonly observer: Observer
  readonly targets: readonly TargetState[]
  /** The last deliveries, in no order. */
  readonly deliveries: readonly Delivery[]
  /** Resolves when what has just happened was sent once. */
  close(): Promise<void>
}

export interface TargetState {
  readonly target: number
  /** Without path and query, which may contain secrets. */
  readonly origin: string
  readonly events: readonly WebhookEvent[]
  readonly waiting: number
  readonly waitingBytes: number
  /** Its receiver has answered 410: it gets nothing until the server starts again. */
  readonly isGone: boolean
}

const deliveriesMax = 1000
/** A client that is rejected is rejected again and again: of one that hits one limit there is an event in this time. */
const limitQuietMs = 60_000

export function createWebhooks(options: WebhooksOptions): Webhooks {
  const { targets, now = Date.now } = options
  const senders = targets.map((target) => {
    const onSettled = (delivery: Delivery) => report(delivery, target)
    return new WebhookSender({ ...options, target, onSettled })
  })
  const deliveries: Delivery[] = []
  const quiet = new LRUCache<string, true>({ max: 10_000, ttl: limitQuietMs, perf: { now } })

  return {
    observer: pickUsed(
      {
        runEnded({ run, session, principal, continues, metadata, lanes }, { lanes: ends = {}, ...end }) {
          // The end of a run's only lane is that of the run.
          const each = lanes.map((lane) => ({ ...lane, ...(ends[lane.lane] ?? end) }))
          emit('run.ended', { run, session, principal, continues, metadata, ...end, lanes: each })
        },
        sessionCreated: ({ session, principal }) => emit('session.created', { session, principal }),
        limitHit(hit) {
          const key = keyOf(hit)
          if (quiet.has(key)) return
          quiet.set(key, true)
          emit('limit.hit', { ...hit })
        },
      },
      targets,
    ),
    get targets() {
      return targets.map(({ url, events }, target) => {
        const { waiting, waitingBytes, isGone } = senders[target] as WebhookSender
        return { target, origin: url.origin, events: [...events], waiting, waitingBytes, isGone }
      })
    },
    deliveries,
    close: async () => void (await Promise.all(senders.map((sender) => sender.close()))),
  }

  function report({ status, event, attempts, lastStatus, lastError }: Delivery, { url }: Target): void {
    if (status === 'delivered') return
    const why = attempts === 0 ? 'too much waits for it' : `${attempts} attempts, the last: ${lastError ?? lastStatus}`
    options.onError(new Error(`The webhook ${event} was not delivered to ${url.origin}: ${why}`))
  }

  function emit(event: WebhookEvent, data: object): void {
    const createdAt = now()
    const body = JSON.stringify({ type: event, timestamp: new Date(createdAt).toISOString(), data })
    for (const [target, { events }] of targets.entries()) {
      if (!events.has(event)) continue
      const id = `msg_${randomBytes(18).toString('base64url')}`
      const delivery: Delivery = { id, target, event, createdAt, status: 'waiting', attempts: 0 }
      deliveries.push(delivery)
      // Rarely, and many at once: each removal moves the rest.
      if (deliveries.length > 2 * deliveriesMax) deliveries.splice(0, deliveriesMax)
      senders[target]?.push(delivery, body)
    }
  }
}

/** Without the methods whose events no target wants. */
function pickUsed(observer: Observer, targets: readonly Target[]): Observer {
  const names = { runEnded: 'run.ended', sessionCreated: 'session.created', limitHit: 'limit.hit' } as const
  const used = Object.entries(names).filter(([, event]) => targets.some(({ events }) => events.has(event)))
  return Object.fromEntries(used.map(([method]) => [method, observer[method as keyof typeof names]]))
}

function keyOf({ limit, principal, address }: LimitHit): string {
  return JSON.stringify([limit, principal, address])
}
