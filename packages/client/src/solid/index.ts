/**
 * The stores of `@millrace/client/chat` as Solid sees them: signals. Nothing is opened before the first effect, so a server
 * opens nothing. What is followed may be a signal; what it was before is left when it changes.
 *
 * Show `runs` with `<Index>`, not `<For>`: a run that grows is a new object.
 */
import { type Accessor, createEffect, createSignal, onCleanup } from 'solid-js'
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

/** Any store of `@millrace/client/chat`. */
export function useStore<T>(source: Accessor<Store<T>>): Accessor<T> {
  const [shown, show] = createSignal(source().initial)
  createEffect(() => {
    const store = source()
    const update = () => show(() => store.current)
    onCleanup(store.subscribe(update))
    update()
  })
  return shown
}

/** How the connection of a client is; never mixed with how a run is. */
export function useConnection({ connection }: Client): Accessor<ConnectionStatus> {
  return useStore(() => connection)
}

/**
 * A session's transcript, live, and the way to ask in it. All components of one session share one loop over its events; it
 * begins with the first and ends with the last, and runs go on without it.
 */
export function useChat<Types extends ChatTypes = ChatTypes>(
  session: Session | Accessor<Session>,
  options?: ChatOptions<Types>,
): Accessor<Chat<Types>> {
  return useStore(() => showChat<Types>(typeof session === 'function' ? session() : session, options))
}

/** One run of a session; undefined until it is in the transcript. Changes only when this run has changed. */
export function useRun<Types extends ChatTypes = ChatTypes>(session: Session, run: string): Accessor<ChatRun<Types> | undefined> {
  return useStore(() => showRun<Types>(session, run))
}

/** The last events of a channel, live. Throws a RangeError for `eventsMax` below 1. */
export function useChannel<Event>(channel: ChannelLike<Event>, options?: ChannelShowOptions): Accessor<ChannelEvents<Event>> {
  return useStore(() => showChannel(channel, options))
}
