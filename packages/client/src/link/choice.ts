/** Which transport to use, and why. Pure: what has failed and the time come in as values. */
import type { TransportName } from '../transports/transport.ts'

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
  readonly requested: TransportName | 'auto'
  /** The application sends often, not only questions. */
  readonly isTwoWay: boolean
  /** Data is bytes, which only a WebSocket carries as they are. */
  readonly isBinary: boolean
  /** Several tabs share what is chosen. */
  readonly isShared: boolean
  /** A page: its browser opens six connections to an HTTP/1.1 server, and any number of WebSockets. */
  readonly isPage: boolean
  /** The host has a WebSocket. */
  readonly hasWebSocket: boolean
  readonly avoided: ReadonlyMap<TransportName, Avoided>
  readonly now: number
}

export function chooseTransport(facts: ChoiceFacts): Choice {
  const { requested, isTwoWay, isBinary, isShared, isPage, hasWebSocket, avoided, now } = facts
  if (requested !== 'auto') return { transport: requested, reason: `${requested} was asked for` }
  const wish = isTwoWay
    ? 'traffic goes both ways'
    : isBinary
      ? 'data is bytes'
      : isShared
        ? 'tabs share one connection'
        : isPage
          ? 'a browser opens six connections, and WebSockets beside them'
          : undefined
  const obstacle = hasWebSocket ? undefined : 'this host has no WebSocket'
  const order: readonly TransportName[] = wish !== undefined && obstacle === undefined ? ['ws', 'sse', 'poll'] : ['sse', 'poll']
  const best = wish === undefined ? 'text comes one way' : (obstacle ?? wish)
  const failures: string[] = []
  for (const transport of order) {
    const known = avoided.get(transport)
    if (known === undefined || known.until <= now) return { transport, reason: [best, ...failures].join('; ') }
    failures.push(`${transport} is avoided: ${known.reason}`)
  }
  return { transport: 'poll', reason: [best, ...failures].join('; ') }
}
