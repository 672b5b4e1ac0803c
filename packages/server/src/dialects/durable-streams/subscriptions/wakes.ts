/**
 * Wakes: made when a stream of an idle subscription has something new, announced to a worker, and ended by its worker or its
 * lease. Any server does each of these; the log of the subscription decides which one was first.
 */
import type { Engine } from '../../../log/log.ts'
import { type Changes, silent } from './changes.ts'
import { noSubscription, SubscriptionError } from './errors.ts'
import {
  beforeAll,
  isHeld,
  linksMax,
  type Subscription,
  withAcks,
  withAttempt,
  withFailure,
  withLink,
  withoutFailures,
  withoutStreams,
  withoutWake,
} from './subscription.ts'
import { changeSubscription } from './subscription-log.ts'
import { findTails, firstPending, tailsOf } from './tails.ts'

/** Each function rejects with SUBSCRIPTION_NOT_FOUND, and as the engine does. */
export interface Wakes {
  /** After an append to a stream of the subscription. */
  noteAppend(id: string, path: string): Promise<void>
  /** A stream that was deleted is no longer one of the subscription. */
  noteDelete(id: string, path: string): Promise<void>
  /** Makes a wake where there is none and something is pending; goes on with one whose time has come. */
  goOn(id: string): Promise<void>
  /** The worker has been notified; `done` has the offsets up to which it has processed everything, where it says so. */
  succeed(id: string, wake: string, done?: ReadonlyMap<string, string>): Promise<void>
  fail(id: string, wake: string): Promise<void>
}

export interface WakesOptions {
  readonly engine: Engine
  readonly changes: Changes
  readonly now: () => number
  readonly random: () => number
}

export function createWakes({ engine, changes, now, random }: WakesOptions): Wakes {
  const { apply, wakeIfPending } = changes
  return {
    async noteAppend(id, path) {
      await apply(id, async (subscription) => {
        const isLinked = subscription.links.some((link) => link.path === path)
        const link = { path, isExplicit: false, acked: beforeAll }
        const linked = isLinked ? subscription : withLink(await makeRoom(subscription), link)
        if (linked.wake !== undefined) return silent(linked)
        // Of the others nothing was pending before.
        return wakeIfPending(linked, await findTails(engine, [path], now()))
      })
    },

    async noteDelete(id, path) {
      await apply(id, (subscription) => silent(withoutStreams(subscription, (each) => each === path)))
    },

    async goOn(id) {
      await apply(id, (subscription) => {
        const { wake } = subscription
        if (wake === undefined) return wakeIfPending(subscription)
        if (wake.attemptAt !== undefined && wake.attemptAt <= now()) return tryAgain(subscription)
        if (wake.leaseUntil === undefined || isHeld(subscription, now())) return silent(subscription)
        return wakeIfPending(withoutWake(subscription))
      })
    },

    async succeed(id, wake, done) {
      await apply(id, (subscription) => {
        if (subscription.wake?.id !== wake) return silent(subscription)
        if (done !== undefined) return wakeIfPending(withoutWake(withAcks(subscription, done)))
        return silent(withoutFailures(subscription))
      })
    },

    async fail(id, wake) {
      await changeSubscription(engine, id, (subscription) => {
        const isCurrent = subscription.wake?.id === wake && subscription.wake.holder === undefined
        return { next: isCurrent ? withFailure(subscription, now(), random()) : subscription, result: undefined }
      })
    },
  }

  async function tryAgain(subscription: Subscription) {
    const path = firstPending(subscription, await tailsOf(engine, subscription, now()))
    return path === undefined ? silent(withoutWake(subscription)) : { next: withAttempt(subscription, now()), result: path }
  }

  /** Where its links are at the limit, without those of streams that have expired. */
  async function makeRoom(subscription: Subscription): Promise<Subscription> {
    if (subscription.links.length < linksMax) return subscription
    const tails = await tailsOf(engine, subscription, now())
    return withoutStreams(subscription, (path) => !tails.has(path))
  }
}

/** There is nothing to go on with in a subscription that was deleted. */
export function ignoreMissing(error: unknown): void {
  if (!(error instanceof SubscriptionError && error.code === noSubscription().code)) throw error
}
