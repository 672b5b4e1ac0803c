/**
 * The stores of `@millrace/client/chat` as React sees them. Nothing is opened while rendering: a subscription begins a
 * loop, and on a server there are none.
 */
import { useEffect, useMemo, useSyncExternalStore } from 'react'
import {
  type ChannelEvents,
  type ChannelLike,
  type ChannelShowOptions,
  type Chat,
  type ChatOptions,
  type ChatRun,
  type ChatTypes,
  chatOf,
  type Store,
  showChannel,
  showChat,
  showRun,
} from '../chat/index.ts'
import type { Client } from '../client.ts'
import type { Session } from '../session.ts'
import type { ConnectionStatus } from '../status.ts'

/** Any store of `@millrace/client/chat`; pass the same one in every rendering. */
export function useStore<T>(store: Pick<Store<T>, 'initial' | 'current' | 'subscribe'>): T {
  return useSyncExternalStore(
    store.subscribe,
    () => store.current,
    () => store.initial,
  )
}

/** How the connection of a client is; never mixed with how a run is. On a server always `idle`. */
export function useConnection({ connection }: Client): ConnectionStatus {
  return useStore(connection)
}

/**
 * A session's transcript, live, and the way to ask in it. All hooks of one session share one loop over its
 * events; it begins with the first component and ends with the last, and runs go on without it.
 *
 * Pass the same `Session` in every rendering: `client.session(id)` gives it, `client.session()` makes another each time; and
 * the same `transcript`, which a server renders, and the page at first.
 */
export function useChat<Types extends ChatTypes = ChatTypes>(
  session: Session,
  { transcript, storage, onEnd, onToolCall }: ChatOptions<Types> = {},
): Chat<Types> {
  // Those of the last rendering: they see what it shows.
  useEffect(() => void chatOf<Types>(session, { onEnd, onToolCall }), [session, onEnd, onToolCall])
  return useStore(useMemo(() => showChat<Types>(session, { transcript, storage }), [session, transcript, storage]))
}

/**
 * One run of a session; undefined until it is in the transcript. Shares the loop of `useChat`, and renders only when
 * this run has changed.
 */
export function useRun<Types extends ChatTypes = ChatTypes>(session: Session, run: string): ChatRun<Types> | undefined {
  return useStore(useMemo(() => showRun<Types>(session, run), [session, run]))
}

/**
 * The last events of a channel, live. All hooks of one channel share one loop; while none is there nothing is read, and
 * then it goes on where it was. Throws a RangeError for `eventsMax` below 1.
 */
export function useChannel<Event>(
  channel: ChannelLike<Event>,
  { eventsMax = 100 }: ChannelShowOptions = {},
): ChannelEvents<Event> {
  return useStore(useMemo(() => showChannel(channel, { eventsMax }), [channel, eventsMax]))
}
