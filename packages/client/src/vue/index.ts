/**
 * The stores of `@millrace/client/chat` as Vue sees them: shallow refs. Nothing is opened before a component is mounted, so a
 * server opens nothing. What is followed may be a ref or a getter; what it was before is left when it changes.
 */
import { getCurrentInstance, type MaybeRefOrGetter, onMounted, type ShallowRef, shallowRef, toValue, watch } from 'vue'
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

/** Any store of `@millrace/client/chat`. Outside of a component it is followed at once. */
export function useStore<T>(source: MaybeRefOrGetter<Store<T>>): Readonly<ShallowRef<T>> {
  const shown = shallowRef(toValue(source).initial)
  const follow = () =>
    watch(
      () => toValue(source),
      (store, _, onCleanup) => {
        const show = () => {
          shown.value = store.current
        }
        onCleanup(store.subscribe(show))
        show()
      },
      { immediate: true },
    )
  if (getCurrentInstance() === null) follow()
  else onMounted(follow)
  return shown
}

/** How the connection of a client is; never mixed with how a run is. */
export function useConnection({ connection }: Client): Readonly<ShallowRef<ConnectionStatus>> {
  return useStore(() => connection)
}

/**
 * A session's transcript, live, and the way to ask in it. All components of one session share one loop over its events; it
 * begins with the first and ends with the last, and runs go on without it.
 */
export function useChat<Types extends ChatTypes = ChatTypes>(
  session: MaybeRefOrGetter<Session>,
  options?: ChatOptions<Types>,
): Readonly<ShallowRef<Chat<Types>>> {
  return useStore(() => showChat<Types>(toValue(session), options))
}

/** One run of a session; undefined until it is in the transcript. Changes only when this run has changed. */
export function useRun<Types extends ChatTypes = ChatTypes>(
  session: MaybeRefOrGetter<Session>,
  run: MaybeRefOrGetter<string>,
): Readonly<ShallowRef<ChatRun<Types> | undefined>> {
  return useStore(() => showRun<Types>(toValue(session), toValue(run)))
}

/** The last events of a channel, live. Throws a RangeError for `eventsMax` below 1. */
export function useChannel<Event>(
  channel: MaybeRefOrGetter<ChannelLike<Event>>,
  options?: ChannelShowOptions,
): Readonly<ShallowRef<ChannelEvents<Event>>> {
  return useStore(() => showChannel(toValue(channel), options))
}
