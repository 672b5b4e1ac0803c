/** What workers say about a wake: that they have it, how far they are, and that they give it back. */
import type { Engine } from '../../../log/log.ts'
import { type Changes, silent } from './changes.ts'
import { SubscriptionError } from './errors.ts'
import { isHeld, type Subscription, withAcks, withLease, withoutWake, withWake } from './subscription.ts'
import { type Changed, changeSubscription } from './subscription-log.ts'
import { checkAck, firstPending, type Tails, tailsOf } from './tails.ts'
import { readToken } from './tokens.ts'

export type WakeType = Subscription['config']['type']

export interface WakeReference {
  readonly token: string | undefined
  readonly wake: string
  readonly generation: number
}

export interface Acknowledgement extends WakeReference {
  /** The last offset that was processed, by the names of streams. */
  readonly acks: ReadonlyMap<string, string>
  readonly isDone: boolean
}

export interface Claimed {
  readonly subscription: Subscription
  readonly tails: Tails
}

/** Each function rejects with a SubscriptionError. */
export interface Claims {
  claim(id: string, worker: string): Promise<Claimed>
  /** Renews the lease, or ends the wake. Resolves with whether another wake follows. */
  acknowledge(id: string, type: WakeType, acknowledgement: Acknowledgement): Promise<boolean>
  release(id: string, wake: WakeReference): Promise<void>
}

export interface ClaimsOptions {
  readonly engine: Engine
  readonly changes: Changes
  readonly now: () => number
}

export function createClaims({ engine, changes, now }: ClaimsOptions): Claims {
  return {
    async claim(id, worker) {
      const { next, result } = await changeSubscription(engine, id, (subscription) => claim(subscription, worker))
      return { subscription: next, tails: result }
    },

    acknowledge(id, type, { acks, isDone, ...reference }) {
      return changes.apply(id, async (subscription) => {
        requireType(subscription, type)
        requireWake(subscription, reference)
        const tails = await tailsOf(engine, subscription, now())
        for (const [path, offset] of acks) checkAck(subscription, tails, path, offset)
        const acked = withAcks(subscription, acks)
        return isDone ? changes.wakeIfPending(withoutWake(acked), tails) : silent(withLease(acked, now()))
      })
    },

    async release(id, reference) {
      await changes.apply(id, (subscription) => {
        requireType(subscription, 'pull-wake')
        requireWake(subscription, reference)
        return changes.wakeIfPending(withoutWake(subscription))
      })
    },
  }

  async function claim(subscription: Subscription, worker: string): Promise<Changed<Tails>> {
    requireType(subscription, 'pull-wake')
    const { wake, generation } = subscription
    if (isHeld(subscription, now()))
      throw new SubscriptionError('ALREADY_CLAIMED', 'Another worker has the wake; wait for the next one.', {
        current_holder: wake?.holder,
        generation,
      })
    const tails = await tailsOf(engine, subscription, now())
    if (firstPending(subscription, tails) === undefined)
      throw new SubscriptionError('NO_PENDING_WORK', 'Everything was acknowledged; wait for the next wake.')
    // The lease of an earlier claim has ended, and its wake with it.
    const woken = wake === undefined || wake.holder !== undefined ? withWake(subscription, now()) : subscription
    return { next: withLease(woken, now(), worker), result: tails }
  }

  /** Throws a SubscriptionError for another wake than the present one, or where its lease has ended. */
  function requireWake(subscription: Subscription, { token, generation, wake }: WakeReference): void {
    const isCurrent =
      readToken(subscription, token, now()) === subscription.generation &&
      generation === subscription.generation &&
      wake === subscription.wake?.id
    if (!isCurrent || !isHeld(subscription, now()))
      throw new SubscriptionError('FENCED', 'The wake has ended; its work belongs to a later one.')
  }
}

function requireType({ config }: Subscription, type: WakeType): void {
  if (config.type === type) return
  throw new SubscriptionError('INVALID_REQUEST', `The subscription has the type ${config.type}.`)
}
