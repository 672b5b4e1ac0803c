/** Changes to a subscription after which a worker is notified: by the server that has made the wake, and no other. */
import type { Engine } from '../../../log/log.ts'
import { type Subscription, withWake } from './subscription.ts'
import { type Changed, changeSubscription } from './subscription-log.ts'
import { firstPending, type Tails, tailsOf } from './tails.ts'

/** A wake that a worker is to be notified of. */
export interface Notice {
  readonly subscription: Subscription
  /** A stream that has something new. */
  readonly path: string
}

/** With the stream to notify about, where there is a new wake. */
export type Decision = Changed<string | undefined>

export interface ChangesOptions {
  readonly engine: Engine
  /** In the background. */
  readonly notify: (notice: Notice) => void
  readonly now: () => number
}

export interface Changes {
  /** False where nobody is notified. Rejects with SUBSCRIPTION_NOT_FOUND, and as `decide` does. */
  apply(id: string, decide: (subscription: Subscription) => Decision | Promise<Decision>): Promise<boolean>
  /** With a new wake where a stream has something new. `subscription` MUST have none. */
  wakeIfPending(subscription: Subscription, tails?: Tails): Promise<Decision>
}

export function createChanges({ engine, notify, now }: ChangesOptions): Changes {
  return {
    async apply(id, decide) {
      const { next, result: path } = await changeSubscription(engine, id, decide)
      if (path === undefined) return false
      notify({ subscription: next, path })
      return true
    },
    async wakeIfPending(subscription, tails) {
      const path = firstPending(subscription, tails ?? (await tailsOf(engine, subscription, now())))
      return path === undefined ? silent(subscription) : { next: withWake(subscription, now()), result: path }
    },
  }
}

export const silent = (next: Subscription): Decision => ({ next, result: undefined })
