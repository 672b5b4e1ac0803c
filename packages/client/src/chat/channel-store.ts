/**
 * The last events of a channel, kept up to date by one loop however many look. When nobody has looked for a while
 * the loop goes on where it ended, so nothing is there twice.
 */
import { createLiveStore, type Store } from './live-store.ts'

/** A channel, a session, or whatever has events. A new loop over them MUST go on where the last one ended. */
export interface ChannelLike<Event> {
  events(options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<Event>
}

export interface ChannelEvents<Event> {
  /** The oldest first. */
  readonly events: readonly Event[]
  /** `closed`: it does not go on, by `error`, or because it was left. */
  readonly status: 'live' | 'closed'
  readonly error: Error | undefined
}

export interface ChannelStore<Event> extends Store<ChannelEvents<Event>> {
  /** Keeps at least this number of events from now on. */
  keep(eventsMax: number): void
}

const stores = new WeakMap<ChannelLike<unknown>, ChannelStore<unknown>>()

/** The store of a channel: the same one for everybody. */
export function channelStoreOf<Event>(channel: ChannelLike<Event>): ChannelStore<Event> {
  const known = stores.get(channel) as ChannelStore<Event> | undefined
  if (known !== undefined) return known
  const store = createChannelStore(channel)
  stores.set(channel, store as ChannelStore<unknown>)
  return store
}

function createChannelStore<Event>(channel: ChannelLike<Event>): ChannelStore<Event> {
  const kept: Event[] = []
  let keptMax = 1
  let status: ChannelEvents<Event>['status'] = 'live'
  let error: Error | undefined
  const store = createLiveStore<ChannelEvents<Event>>(() => ({ events: kept.slice(-keptMax), status, error }), follow)
  return Object.assign(store, {
    keep(eventsMax: number) {
      keptMax = Math.max(keptMax, eventsMax)
    },
  })

  /** Never rejects. */
  async function follow(signal: AbortSignal): Promise<void> {
    setStatus('live')
    try {
      for await (const event of channel.events({ signal })) {
        kept.push(event)
        // Seldom and many at once: to take one from the front for each that comes would move all of them.
        if (kept.length > 2 * keptMax) kept.splice(0, kept.length - keptMax)
        store.changed('frame')
      }
      if (!signal.aborted) setStatus('closed')
    } catch (cause) {
      if (!signal.aborted) setStatus('closed', cause as Error)
    }
  }

  function setStatus(next: typeof status, cause?: Error): void {
    if (next === status && cause === error) return
    status = next
    error = cause
    store.changed('now')
  }
}
