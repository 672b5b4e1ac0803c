/** The subscriptions that a server knows: read again when they have changed, on whichever server. */
import type { Engine } from '../../../log/log.ts'
import { dueAt, isOfPattern, type Subscription } from './subscription.ts'
import { findSubscription, inspectChanges, listSubscriptions, subscriptionLog } from './subscription-log.ts'

export interface KnownSubscription {
  readonly id: string
  /** Whether a stream is one of it, or would be with its first append. */
  has(path: string): boolean
  dueAt: number
  /** It has changed since `dueAt` was read. */
  isStale: boolean
}

export interface KnownSubscriptions {
  /** Includes every change that was made before the call. */
  read(): Promise<readonly KnownSubscription[]>
  /** Of the last time that they were read. */
  readonly last: readonly KnownSubscription[]
  refreshDue(known: KnownSubscription): Promise<void>
  close(): void
}

interface Entry extends KnownSubscription {
  readonly unwatch: () => void
}

export function createKnown(engine: Engine): KnownSubscriptions {
  let last: readonly Entry[] = []
  let loaded: string | undefined
  let loading: Promise<void> = Promise.resolve()

  return {
    async read() {
      const changes = await inspectChanges(engine)
      if (changes !== loaded) {
        loading = loading.catch(() => {}).then(() => (changes === loaded ? undefined : load()))
        await loading
      }
      return last
    },
    get last() {
      return last
    },
    async refreshDue(known) {
      known.isStale = false
      const subscription = await findSubscription(engine, known.id)
      known.dueAt = subscription === undefined ? Number.POSITIVE_INFINITY : dueAt(subscription)
    },
    close() {
      for (const { unwatch } of last) unwatch()
    },
  }

  async function load(): Promise<void> {
    // Before the list: what changes meanwhile is another change.
    const changes = await inspectChanges(engine)
    const next: Entry[] = []
    for await (const id of listSubscriptions(engine)) {
      const subscription = await findSubscription(engine, id)
      if (subscription !== undefined) next.push(enter(subscription))
    }
    for (const { unwatch } of last) unwatch()
    last = next
    loaded = changes
  }

  function enter(subscription: Subscription): Entry {
    const { id, config, links } = subscription
    const paths = new Set(links.map(({ path }) => path))
    const entry: Entry = {
      id,
      has: (path) => paths.has(path) || isOfPattern(config, path),
      dueAt: dueAt(subscription),
      // It may have changed before it was watched.
      isStale: true,
      unwatch: engine.watch(subscriptionLog(id), () => {
        entry.isStale = true
      }),
    }
    return entry
  }
}
