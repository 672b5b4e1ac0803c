/**
 * The logs of subscriptions. Each has its value as the last event of a log of its own, and is changed where nobody else has
 * changed it meanwhile. One more log has an event for each subscription that came, went, or got other streams: a server looks at
 * it after each append to a stream, so that none is missed.
 */
import type { Json, Position } from '@millrace/protocol'
import type { Engine } from '../../../log/log.ts'
import { walkNames } from '../../../log/names.ts'
import { appendAfter, keepLast, readLast, retryChange } from '../last-event.ts'
import { noSubscription } from './errors.ts'
import type { Subscription } from './subscription.ts'

const prefix = 'subscription/of/'
export const changesLog = 'subscription/changes'

export const subscriptionLog = (id: string) => `${prefix}${id}`

/** Undefined where it does not exist. */
export async function findSubscription(engine: Engine, id: string): Promise<Subscription | undefined> {
  const last = await readLast(engine, subscriptionLog(id))
  return last && (last.event.data as object as Subscription)
}

/** False where there is one with this id. */
export async function addSubscription(engine: Engine, subscription: Subscription): Promise<boolean> {
  return (await write(engine, undefined, subscription)) !== undefined
}

/** False where there was none. */
export function removeSubscription(engine: Engine, id: string): Promise<boolean> {
  return engine.delete(subscriptionLog(id))
}

/** Retention must not remove it. */
export function keepSubscription(engine: Engine, id: string, now: number): Promise<void> {
  return keepLast(engine, subscriptionLog(id), now)
}

export interface Changed<T> {
  /** The same subscription where nothing is to be written. */
  readonly next: Subscription
  readonly result: T
}

/** Decides by what there is, again where it was changed meanwhile. Rejects with SUBSCRIPTION_NOT_FOUND. */
export async function changeSubscription<T>(
  engine: Engine,
  id: string,
  decide: (subscription: Subscription) => Changed<T> | Promise<Changed<T>>,
): Promise<Changed<T>> {
  return retryChange(async () => {
    const last = await readLast(engine, subscriptionLog(id))
    if (last === undefined) throw noSubscription()
    const subscription = last.event.data as object as Subscription
    const changed = await decide(subscription)
    if (changed.next === subscription) return changed
    return (await write(engine, last.head, changed.next)) && changed
  })
}

/** Tells all servers that the subscriptions, or their streams, are others. */
export async function noteChange(engine: Engine): Promise<void> {
  await engine.append(changesLog, [{ type: 'changed', data: {} }], { keep: 1 })
}

/** Another text after each change. */
export async function inspectChanges(engine: Engine): Promise<string> {
  const head = (await engine.inspect(changesLog))?.head
  return head === undefined ? '' : `${head.epoch}-${head.offset}`
}

export async function* listSubscriptions(engine: Engine): AsyncGenerator<string> {
  for await (const name of walkNames(engine, prefix)) yield name.slice(prefix.length)
}

function write(engine: Engine, head: Position | undefined, subscription: Subscription): Promise<Position | undefined> {
  const event = { type: 'subscription', data: subscription as object as Json }
  return appendAfter(engine, subscriptionLog(subscription.id), head, [event], 1)
}
