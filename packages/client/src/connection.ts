/**
 * How one client reaches its server: the ways to it, the choice between them, the outbox, the links of what is being read, and
 * one status for all of it. Sessions and channels are built on top, in client.ts.
 */
import { createOutbox, type Outbox, type Unanswered } from './commands/outbox.ts'
import { createCommandSender } from './commands/sender.ts'
import type { ConnectOptions } from './connect-options.ts'
import { listenToHost } from './host.ts'
import type { Http } from './http.ts'
import { createInspectors, type Inspectors } from './inspect.ts'
import { createLinks, type Links } from './link/links.ts'
import { createTransportSelector, type RequestedTransport, type TransportSelector } from './link/selector.ts'
import { createServerAccess } from './server-access.ts'
import { type ConnectionStatus, type ConnectionStore, createConnectionStore, type Gauges, summarize } from './status.ts'
import { checkTimings, type Timings, timerMsMax } from './timings.ts'
import { pollOnce } from './transports/poll.ts'

export interface Connection {
  readonly http: Http
  readonly timings: Timings
  readonly outbox: Outbox
  readonly links: Links
  readonly store: ConnectionStore
  readonly selector: TransportSelector
  readonly inspect: Inspectors['add']
  setTransport(transport: RequestedTransport): void
  close(): void
}

export function createConnection(url: string | URL | undefined, options: ConnectOptions): Connection {
  const timings = checkTimings(options.timings, options.transport)
  const gauges: Gauges = { lost: 0, repeated: 0, resumed: 0 }
  const inspectors = createInspectors()
  const access = createServerAccess(url, options, timings, gauges)
  const { base, http, hasWebSocket, socket, transports, whenAddressed } = access
  const selector = createTransportSelector({
    ...options,
    hasWebSocket,
    avoidMs: timings.avoidMs,
    facts: () => ({ isShared: shared !== undefined, hasWebSocket: socket !== undefined }),
    onChange: applyChoice,
  })
  const chosen = () => selector.explain().transport
  const own = { transports, sender: createCommandSender({ http, socket, selector }) }
  const shared = options.tabs?.({
    ...own,
    base,
    timings,
    pollOnce: (source, from, signal) => pollOnce(http, source, from, 0, signal),
    onLeading: applyChoice,
  })
  const carrier = shared ?? own
  let unanswered: Unanswered | undefined
  const outbox = createOutbox(carrier.sender, timings, (failed) => {
    unanswered = failed
    update()
  })
  const links = createLinks({
    transports: carrier.transports,
    timings,
    gauges,
    inspectors,
    selector,
    whenLed: () => whenAddressed ?? shared?.whenLed,
    onLive() {
      access.onReached()
      // The server answers, so commands need not wait for their own retry.
      outbox.kick()
    },
    onChange: () => update(),
  })
  const { store, update } = createConnectionStore(readStatus)
  const stopListening = listenToHost((news) => {
    links.dispatch({ type: news })
    if (news !== 'offline') outbox.kick()
  })
  keepSocket()

  return {
    http,
    timings,
    outbox,
    links,
    store,
    selector,
    inspect: inspectors.add,
    setTransport(transport) {
      selector.request(transport)
      // Also links that have this target already: one that waits for its next attempt makes it now.
      links.dispatch({ type: 'switch', to: chosen() })
      applyChoice()
    },
    close() {
      if (links.isClosed) return
      stopListening()
      links.closeAll()
      outbox.close()
      shared?.close()
      socket?.close()
      update()
    },
  }

  function applyChoice(): void {
    if (links.isClosed) return
    keepSocket()
    links.switchTo(chosen())
    update()
  }

  /** Keeps a WebSocket for commands open, with `auto` for a while only: otherwise each command costs a handshake. */
  function keepSocket(): void {
    const isUsed = (selector.requested === 'hybrid' || chosen() === 'ws') && shared?.isLeading !== false
    socket?.keep(isUsed ? (selector.requested === 'auto' ? timings.silenceMs : timerMsMax) : 0)
  }

  function readStatus(): ConnectionStatus {
    const transport = chosen()
    const facts = { ...gauges, isLeading: shared?.isLeading ?? true }
    if (links.isClosed) return { state: 'closed', transport, attempt: 0, ...facts }
    const shown = summarize(links.states, transport, performance.now())
    // While nothing is read, commands show whether the server can be reached.
    const { error = unanswered?.error } = shown
    const attempts = Math.max(shown.attempt, unanswered?.attempts ?? 0)
    return { ...shown, ...facts, ...(error && { error: access.explain(error, attempts) }) } as ConnectionStatus
  }
}
