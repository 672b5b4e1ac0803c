/** Every event as it arrives, for a view of the wire. Costs nothing while nobody listens. */
import type { Source } from '@millrace/protocol'
import { notifyAll } from './status.ts'
import type { ReadRequest, TransportName } from './transports/transport.ts'

export interface InspectedEvent {
  /** The session or channel. */
  readonly source: Source
  readonly type: string
  /** The position after it. */
  readonly id: string
  readonly data: unknown
  /** When it arrived, in milliseconds since 1970. */
  readonly receivedAt: number
  /** Its data as JSON in UTF-8, or the bytes that it is. */
  readonly size: number
  readonly transport: TransportName
  /** It had come before, and was not handed out again. */
  readonly isRepeated: boolean
}

export type Arrival = Omit<InspectedEvent, 'source' | 'receivedAt' | 'size'> & { readonly source: ReadRequest }

export interface Inspectors {
  /** Returns what ends it. */
  add(listener: (event: InspectedEvent) => void): () => void
  notify(arrival: Arrival): void
}

const encoder = new TextEncoder()

export function createInspectors(): Inspectors {
  const listeners = new Set<(event: InspectedEvent) => void>()
  return {
    add(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    notify(arrival) {
      if (listeners.size === 0) return
      const { data, source: request } = arrival
      const source = 'session' in request ? { session: request.session } : { channel: request.channel }
      const size = data instanceof Uint8Array ? data.length : encoder.encode(JSON.stringify(data)).length
      notifyAll(listeners, { ...arrival, source, size, receivedAt: Date.now() })
    },
  }
}
