/**
 * Stores as one component shows them, for the bindings of frameworks: `initial` is what a server renders and the page at first,
 * and nothing is opened until somebody subscribes.
 */
import type { Session } from '../session.ts'
import { type ChannelEvents, type ChannelLike, channelStoreOf } from './channel-store.ts'
import type { Chat, ChatOptions } from './chat.ts'
import { chatOf } from './chat-store.ts'
import { findRun } from './find-run.ts'
import type { ChatRun } from './fold.ts'
import type { Store } from './live-store.ts'
import type { ChatTypes } from './typed-parts.ts'

/** A session's conversation, live while somebody subscribes; all stores of a session share one loop over its events. */
export function showChat<Types extends ChatTypes = ChatTypes>(
  session: Session,
  options: ChatOptions<Types> = {},
): Store<Chat<Types>> {
  const { transcript } = options
  const store = chatOf<Types>(session)
  const initial = transcript === undefined ? store.initial : store.preview(transcript)
  return {
    initial,
    get current() {
      return store.current === store.initial ? initial : store.current
    },
    subscribe: (listener) => chatOf(session, options).subscribe(listener),
  }
}

/** Undefined until it is in the transcript. */
export function showRun<Types extends ChatTypes = ChatTypes>(session: Session, run: string): Store<ChatRun<Types> | undefined> {
  const store = chatOf<Types>(session)
  return {
    initial: findRun(store.initial, run),
    get current() {
      return findRun(store.current, run)
    },
    subscribe: store.subscribe,
  }
}

export interface ChannelShowOptions {
  /** How many of the last events are kept and given. Default 100, at least 1. */
  readonly eventsMax?: number
}

/** Throws a RangeError for `eventsMax` below 1. */
export function showChannel<Event>(
  channel: ChannelLike<Event>,
  { eventsMax = 100 }: ChannelShowOptions = {},
): Store<ChannelEvents<Event>> {
  if (!(eventsMax >= 1)) throw new RangeError(`eventsMax is ${eventsMax}; it must be at least 1.`)
  const store = channelStoreOf(channel)
  let all = store.initial
  let last = all
  return {
    initial: store.initial,
    get current() {
      // Another component may want more. The same object until something has changed.
      if (all !== store.current) last = { ...store.current, events: store.current.events.slice(-eventsMax) }
      all = store.current
      return last
    },
    subscribe(listener) {
      store.keep(eventsMax)
      return store.subscribe(listener)
    },
  }
}
