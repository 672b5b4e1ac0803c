/**
 * The stores of `@millrace/client/chat` as Svelte 5 sees them: objects whose `current` is reactive. Nothing is opened until an
 * effect or a template reads it, so a server opens nothing.
 */
import { createSubscriber } from 'svelte/reactivity'
import {
  type ChannelEvents,
  type ChannelLike,
  type ChannelShowOptions,
  type Chat,
  type ChatOptions,
  type ChatRun,
  type ChatTypes,
  type Store,
  showChannel,
  showChat,
  showRun,
} from '../chat/index.ts'
import type { Client } from '../client.ts'
import type { Session } from '../session.ts'
import type { ConnectionStatus } from '../status.ts'

/** Read it as `shown.current`; what is taken out of it does not change. */
export interface Shown<T> {
  readonly current: T
}

/** Any store of `@millrace/client/chat`. */
export function useStore<T>(store: Store<T>): Shown<T> {
  const subscribe = createSubscriber(store.subscribe)
  return {
    get current() {
      subscribe()
      return store.current
    },
  }
}

/** How the connection of a client is; never mixed with how a run is. */
export function useConnection({ connection }: Client): Shown<ConnectionStatus> {
  return useStore(connection)
}

/**
 * A session's transcript, live, and the way to ask in it. All components of one session share one loop over its events; it
 * begins with the first and ends with the last, and runs go on without it. Where the session changes, use
 * `$derived(useChat(session))`.
 */
export function useChat<Types extends ChatTypes = ChatTypes>(session: Session, options?: ChatOptions<Types>): Shown<Chat<Types>> {
  return useStore(showChat<Types>(session, options))
}

/** One run of a session; undefined until it is in the transcript. */
export function useRun<Types extends ChatTypes = ChatTypes>(session: Session, run: string): Shown<ChatRun<Types> | undefined> {
  return useStore(showRun<Types>(session, run))
}

/** The last events of a channel, live. Throws a RangeError for `eventsMax` below 1. */
export function useChannel<Event>(channel: ChannelLike<Event>, options?: ChannelShowOptions): Shown<ChannelEvents<Event>> {
  return useStore(showChannel(channel, options))
}
