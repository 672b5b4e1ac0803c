/**
 * Subscriptions: workers are notified that streams have something new, and acknowledge how far they have processed it. Decision 46
 * says what is kept, and who does what on several servers.
 */
import { isDeepStrictEqual } from 'node:util'
import { walkNames } from '../../../log/names.ts'
import { streamPrefix } from '../stream-log.ts'
import { createChanges, type Notice } from './changes.ts'
import { type Claims, createClaims } from './claims.ts'
import { noSubscription, SubscriptionError } from './errors.ts'
import { createNotify, type NotifyOptions } from './notify.ts'
import { createSigning, type Signing } from './signing.ts'
import {
  beforeAll,
  createSubscription,
  isOfPattern,
  linksMax,
  type Subscription,
  type SubscriptionConfig,
  withLink,
  withoutExplicit,
} from './subscription.ts'
import { addSubscription, changeSubscription, findSubscription, noteChange, removeSubscription } from './subscription-log.ts'
import { findTails, type Tails } from './tails.ts'
import { createWakes, ignoreMissing } from './wakes.ts'
import { startWatching, type Watching } from './watching.ts'

export interface SubscriptionsOptions extends Omit<NotifyOptions, 'signing'> {
  readonly random: () => number
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/** Each function rejects with a SubscriptionError. */
export interface Subscriptions extends Claims, Pick<Watching, 'noteAppend' | 'noteDelete'> {
  /** The same request again finds what the first has created. `root`: the address of the streams. */
  create(id: string, config: SubscriptionConfig, root: string): Promise<{ subscription: Subscription; isNew: boolean }>
  find(id: string): Promise<Subscription>
  delete(id: string): Promise<void>
  addStreams(id: string, paths: readonly string[]): Promise<void>
  removeStream(id: string, path: string): Promise<void>
  readonly signing: Signing
}

/** Each append to a stream looks through all of them. */
const subscriptionsMax = 256

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { engine, signal, onError, now } = options
  const signing = createSigning(engine, now)
  const changes = createChanges({ engine, now, notify: (notice) => void notify(notice) })
  const wakes = createWakes({ ...options, changes })
  const notifyOnce = createNotify({ ...options, signing }, wakes)
  const watching = startWatching({ ...options, wakes, keep: signing.keep })
  const { claim, acknowledge, release } = createClaims({ engine, changes, now })
  const { noteAppend, noteDelete } = watching
  return { create, find, delete: remove, addStreams, removeStream, noteAppend, noteDelete, claim, acknowledge, release, signing }

  async function notify(notice: Notice): Promise<void> {
    try {
      await notifyOnce(notice).catch(ignoreMissing)
    } catch (error) {
      // The lease of the wake ends, or another server goes on with it.
      if (!signal.aborted) onError(error)
    }
  }

  async function create(id: string, config: SubscriptionConfig, root: string) {
    const known = await findSubscription(engine, id)
    if (known === undefined && (await watching.count()) >= subscriptionsMax)
      throw new SubscriptionError('TOO_MANY_SUBSCRIPTIONS', `There are ${subscriptionsMax} subscriptions; delete some.`)
    const tails = await findTails(engine, config.streams, now())
    const linked = withNamed(createSubscription(id, config, root, now()), config.streams, tails)
    const isNew = known === undefined && (await addSubscription(engine, linked))
    const subscription = isNew ? linked : await find(id)
    if (!isDeepStrictEqual(subscription.config, config))
      throw new SubscriptionError('SUBSCRIPTION_ALREADY_EXISTS', 'The subscription exists with another configuration.')
    return { subscription: subscription.isReady ? subscription : await makeReady(id), isNew }
  }

  /** Links the streams that there are. First the servers learn of it: a stream that comes meanwhile is found by its append. */
  async function makeReady(id: string): Promise<Subscription> {
    await noteChange(engine)
    const { config } = await find(id)
    const paths = config.pattern === undefined ? [] : await findMatching(config)
    const tails = await findTails(engine, paths, now())
    const { next } = await changeSubscription(engine, id, (subscription) => {
      if (subscription.isReady) return { next: subscription, result: undefined }
      const linked = [...tails].reduce(
        (next, [path, { offset }]) => withLink(next, { path, isExplicit: false, acked: offset }),
        subscription,
      )
      return { next: { ...linked, isReady: true }, result: undefined }
    })
    return next
  }

  async function findMatching(config: SubscriptionConfig): Promise<string[]> {
    const paths: string[] = []
    for await (const log of walkNames(engine, streamPrefix)) {
      const path = log.slice(streamPrefix.length)
      if (isOfPattern(config, path)) paths.push(path)
      if (paths.length > linksMax)
        throw new SubscriptionError('TOO_MANY_SUBSCRIPTIONS', `A subscription has at most ${linksMax} streams.`)
    }
    return paths
  }

  async function find(id: string): Promise<Subscription> {
    const subscription = await findSubscription(engine, id)
    if (subscription === undefined) throw noSubscription()
    return subscription
  }

  async function remove(id: string): Promise<void> {
    if (await removeSubscription(engine, id)) await noteChange(engine)
  }

  async function addStreams(id: string, paths: readonly string[]): Promise<void> {
    const tails = await findTails(engine, paths, now())
    await changeSubscription(engine, id, (subscription) => ({ next: withNamed(subscription, paths, tails), result: undefined }))
    await noteChange(engine)
  }

  async function removeStream(id: string, path: string): Promise<void> {
    await changeSubscription(engine, id, (subscription) => ({ next: withoutExplicit(subscription, path), result: undefined }))
    await noteChange(engine)
  }
}

/** Streams that a client has named begin at their end, or with whatever comes first. */
function withNamed(subscription: Subscription, paths: readonly string[], tails: Tails): Subscription {
  const links = paths.map((path) => ({ path, isExplicit: true, acked: tails.get(path)?.offset ?? beforeAll }))
  return links.reduce(withLink, subscription)
}
