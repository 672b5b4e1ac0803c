/** Which transport to use, and why. Pure: what has failed and the time come in as values. */
import type { TransportName } from './transports/transport.ts'

export interface Choice {
  readonly transport: TransportName
  /** For people: why this one. */
  readonly reason: string
}

/** A transport that did not work, until when it is avoided, and what happened. */
export interface Avoided {
  readonly until: number
  readonly reason: string
}

export interface ChoiceFacts {
  readonly asked: TransportName | 'auto'
  /** The application sends often, not only questions. */
  readonly isTwoWay: boolean
  /** Data is bytes, which only a WebSocket carries as they are. */
  readonly isBinary: boolean
  /** Several tabs share what is chosen. */
  readonly isShared: boolean
  /** The host has a WebSocket. */
  readonly hasWebSocket: boolean
  readonly avoided: ReadonlyMap<TransportName, Avoided>
  readonly now: number
}

export function chooseTransport({ asked, isTwoWay, isBinary, isShared, hasWebSocket, avoided, now }: ChoiceFacts): Choice {
  if (asked !== 'auto') return { transport: asked, reason: `${asked} was asked for` }
  const wish = isTwoWay
    ? 'traffic goes both ways'
    : isBinary
      ? 'data is bytes'
      : isShared
        ? 'tabs share one connection'
        : undefined
  const order: readonly TransportName[] = wish !== undefined && hasWebSocket ? ['ws', 'sse', 'poll'] : ['sse', 'poll']
  const best = wish === undefined ? 'text comes one way' : hasWebSocket ? wish : 'this host has no WebSocket'
  const failures: string[] = []
  for (const transport of order) {
    const known = avoided.get(transport)
    if (known === undefined || known.until <= now) return { transport, reason: [best, ...failures].join('; ') }
    failures.push(`${transport} is avoided: ${known.reason}`)
  }
  return { transport: 'poll', reason: [best, ...failures].join('; ') }
}
