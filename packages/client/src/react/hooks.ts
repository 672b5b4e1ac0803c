/**
 * The stores of `@millrace/client/chat` as React sees them. Nothing is opened while rendering: a subscription begins a
 * loop, and on a server there are none.
 */
import { useCallback, useMemo, useSyncExternalStore } from 'react'
import {
  type ChannelEvents,
  type ChannelLike,
  type Chat,
  type ChatOptions,
  type ChatRun,
  channelStoreOf,
  chatOf,
  findRun,
} from '../chat/index.ts'
import type { Client } from '../client.ts'
import type { Session } from '../session.ts'
import type { ConnectionStatus } from '../status.ts'

/** How the connection of a client is; never mixed with how a run is. On a server always `idle`. */
export function useConnection({ connection }: Client): ConnectionStatus {
  return useSyncExternalStore(
    connection.subscribe,
    () => connection.current,
    () => connection.initial,
  )
}

/**
 * A session's transcript, live, and the way to ask in it. All hooks of one session share one loop over its
 * events; it begins with the first component and ends with the last, and runs go on without it.
 *
 * Pass the same `Session` in every rendering: `client.session(id)` gives it, `client.session()` makes another each time; and
 * the same `transcript`, which a server renders, and the page at first.
 */
export function useChat(session: Session, { transcript, storage }: ChatOptions = {}): Chat {
  const store = chatOf(session)
  const first = useMemo(() => (transcript === undefined ? store.initial : store.preview(transcript)), [store, transcript])
  const subscribe = useCallback(
    (listener: () => void) => chatOf(session, { transcript, storage }).subscribe(listener),
    [session, transcript, storage],
  )
  return useSyncExternalStore(
    subscribe,
    () => (store.current === store.initial ? first : store.current),
    () => first,
  )
}

/**
 * One run of a session; undefined until it is in the transcript. Shares the loop of `useChat`, and renders only when
 * this run has changed.
 */
export function useRun(session: Session, run: string): ChatRun | undefined {
  const store = chatOf(session)
  return useSyncExternalStore(
    store.subscribe,
    () => findRun(store.current, run),
    () => findRun(store.initial, run),
  )
}

export interface UseChannelOptions {
  /** How many of the last events are kept and given. Default 100, at least 1. */
  readonly eventsMax?: number
}

/**
 * The last events of a channel, live. All hooks of one channel share one loop; while none is there nothing is read, and
 * then it goes on where it was. Throws a RangeError for `eventsMax` below 1.
 */
export function useChannel<Event>(
  channel: ChannelLike<Event>,
  { eventsMax = 100 }: UseChannelOptions = {},
): ChannelEvents<Event> {
  if (!(eventsMax >= 1)) throw new RangeError(`eventsMax is ${eventsMax}; it must be at least 1.`)
  const store = channelStoreOf(channel)
  const subscribe = useCallback(
    (listener: () => void) => {
      store.keep(eventsMax)
      return store.subscribe(listener)
    },
    [store, eventsMax],
  )
  const all = useSyncExternalStore(
    subscribe,
    () => store.current,
    () => store.initial,
  )
  // Another component may want more.
  return useMemo(() => ({ ...all, events: all.events.slice(-eventsMax) }), [all, eventsMax])
}
