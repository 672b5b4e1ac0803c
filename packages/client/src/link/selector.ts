/** Keeps which transport was requested and which ones failed, and chooses from them: choice.ts. */
import type { MillraceError } from '../errors.ts'
import type { TransportName } from '../transports/transport.ts'
import { type Avoided, type Choice, type ChoiceFacts, chooseTransport } from './choice.ts'

export type RequestedTransport = TransportName | 'auto'

export interface TransportSelectorOptions {
  /** As in the options of `connect`. */
  readonly transport?: RequestedTransport
  readonly isTwoWay?: boolean
  readonly isBinary?: boolean
  readonly facts: () => Pick<ChoiceFacts, 'isShared' | 'hasWebSocket'>
  /** Of the host. */
  readonly hasWebSocket: boolean
  /** How long a transport that failed is avoided. */
  readonly avoidMs: number
  /** The choice may have changed. Never called synchronously: a link's effect MUST NOT change its state while it runs. */
  readonly onChange: () => void
}

export interface TransportSelector {
  readonly requested: RequestedTransport
  explain(): Choice
  /** Requests a transport, and tries again those that failed. Throws a TypeError when this host cannot use it. */
  request(transport: RequestedTransport): void
  avoid(transport: TransportName, error: MillraceError): void
  /** The transport works after all. */
  allow(transport: TransportName): void
  isAvoided(transport: TransportName): boolean
}

export function createTransportSelector(options: TransportSelectorOptions): TransportSelector {
  const { transport = 'auto', isTwoWay = false, isBinary = false, facts, hasWebSocket, avoidMs, onChange } = options
  const isPage = (globalThis as { document?: unknown }).document !== undefined
  const avoided = new Map<TransportName, Avoided>()
  let requested = checkTransport(transport, hasWebSocket)

  return {
    get requested() {
      return requested
    },
    explain: () => chooseTransport({ isTwoWay, isBinary, isPage, ...facts(), requested, avoided, now: performance.now() }),
    request(transport) {
      requested = checkTransport(transport, hasWebSocket)
      avoided.clear()
    },
    avoid(transport, { message }) {
      // When even long-poll fails, the network is the cause, and the failures say nothing about transports.
      if (transport === 'poll') return avoided.clear()
      avoided.set(transport, { until: performance.now() + avoidMs, reason: message })
      queueMicrotask(onChange)
      const timer = setTimeout(onChange, avoidMs + 1)
      // Outside of browsers the timer would keep the process alive.
      ;(timer as { unref?: () => void }).unref?.()
    },
    allow(transport) {
      avoided.delete(transport)
      queueMicrotask(onChange)
    },
    isAvoided: (transport) => (avoided.get(transport)?.until ?? 0) > performance.now(),
  }
}

function checkTransport(transport: RequestedTransport, hasWebSocket: boolean): RequestedTransport {
  const all = 'auto, ws, sse, hybrid, poll'
  if (!all.split(', ').includes(transport)) throw new TypeError(`There is no transport "${transport}" among ${all}.`)
  if (transport === 'ws' && !hasWebSocket) throw new TypeError('This host has no WebSocket; pass one to connect().')
  return transport
}
