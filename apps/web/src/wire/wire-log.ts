/**
 * The last events that came over the wire, of all sessions: recorded from the start, so that an answer can be looked into when
 * it is there. Bounded, and of a large event only what it is about is kept.
 */
import type { Client, InspectedEvent } from '@millrace/client'

/** What events of a session say of where they belong. */
export interface About {
  readonly run?: string
  readonly lane?: string
  readonly continues?: string
}

export interface WireEvent extends InspectedEvent {
  /** `data` is only what it is about. */
  readonly isCut: boolean
}

export interface WireLog {
  /** How many events came so far: the snapshot of a store. */
  readonly count: number
  /** Those behind the event of this number that are kept. */
  read(after: number): readonly WireEvent[]
  /** Calls the listener at most once per frame. */
  subscribe(listener: () => void): () => void
}

const eventsMax = 5_000
const dataBytesMax = 4_096

export function recordWire(client: Pick<Client, 'inspect'>): WireLog {
  const listeners = new Set<() => void>()
  let events: WireEvent[] = []
  let count = 0
  let isNotifying = false
  const notify = () => {
    isNotifying = false
    for (const listener of listeners) listener()
  }
  client.inspect((event) => {
    const isCut = event.size > dataBytesMax
    count++
    events.push({ ...event, isCut, data: isCut ? cut(event) : event.data })
    // Seldom, since those that are kept are copied.
    if (events.length === 2 * eventsMax) events = events.slice(eventsMax)
    if (listeners.size === 0 || isNotifying) return
    isNotifying = true
    requestAnimationFrame(notify)
  })
  return {
    get count() {
      return count
    },
    read: (after) => events.slice(Math.max(0, events.length - (count - after))),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function cut({ data }: InspectedEvent): About | undefined {
  if (typeof data !== 'object' || data === null || data instanceof Uint8Array) return undefined
  const { run, lane, continues } = data as About
  return { ...(run && { run }), ...(lane && { lane }), ...(continues && { continues }) }
}
