/**
 * How one client reaches its server: HTTP, one WebSocket, the choice between them, the outbox, the links of what is being
 * read, and one status for all of it. Sessions and channels are built on top, in client.ts.
 */
import { isOtherOrigin, resolveBase } from './address.ts'
import type { OwnCarrier } from './carrier.ts'
import { createOutbox, type Outbox } from './commands/outbox.ts'
import { createCommandSender } from './commands/sender.ts'
import type { ConnectOptions } from './connect-options.ts'
import { MillraceError } from './errors.ts'
import { listenToHost } from './host.ts'
import { createHttp, type Http, toError } from './http.ts'
import { createInspectors, type Inspectors } from './inspect.ts'
import { createLinks, type Links } from './link/links.ts'
import { createTransportSelector, type RequestedTransport, type TransportSelector } from './link/selector.ts'
import { type ConnectionStatus, type ConnectionStore, createConnectionStore, type Gauges, summarize } from './status.ts'
import { checkTimings, type Timings, timerMsMax } from './timings.ts'
import { createPollTransport, pollOnce } from './transports/poll.ts'
import { createSocket, type WebSocketConstructor } from './transports/socket.ts'
import { createSseTransport } from './transports/sse.ts'

/** Failed attempts after which an unreachable server of another origin gets the message about origins. */
const attemptsMax = 3
/** A browser does not let a page know why it may not read an answer, so this is a guess. */
const otherOrigin = new MillraceError('unreachable', {
  message: "The server was never reached: start it, or serve it from this page's origin.",
})

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

// Creates the parts and connects them. Helpers would cost bytes in every page: the size of the client is bounded.
// oxlint-disable-next-line max-lines-per-function
export function createConnection(url: string | URL | undefined, options: ConnectOptions): Connection {
  const timings = checkTimings(options.timings, options.transport)
  const base = resolveBase(url ?? '.')
  const WebSocket = options.WebSocket ?? ((globalThis as { WebSocket?: unknown }).WebSocket as WebSocketConstructor | undefined)
  // Called as a plain function: browsers reject a fetch that is called as a method of another object.
  const fetch = options.fetch ?? ((...request: Parameters<typeof globalThis.fetch>) => globalThis.fetch(...request))
  const gauges: Gauges = { lost: 0, repeated: 0, resumed: 0 }
  const inspectors = createInspectors()
  let isReached = false
  const onReached = () => {
    isReached = true
  }
  // Where nothing was asked for, as by a module that a server loads for its page, there is nothing to report either.
  const whenAddressed = base === '' && url === undefined ? new Promise<never>(() => {}) : undefined
  const http = createHttp({
    whenAddressed,
    base,
    fetch,
    token: options.token,
    answerMs: timings.answerMs,
    onUnauthenticated: options.onUnauthenticated,
    onReached,
  })
  const socket =
    WebSocket === undefined || base === ''
      ? undefined
      : createSocket({
          base,
          WebSocket,
          timings,
          gauges,
          onOpen: onReached,
          getTicket: options.token && getTicket,
          // Who is known by a cookie has a ticket for that.
          renew: async () => (options.token ? { token: await http.token('expired') } : { ticket: await getTicket() }),
        })
  const selector = createTransportSelector({
    requested: options.transport ?? 'auto',
    hasWebSocket: WebSocket !== undefined,
    avoidMs: timings.avoidMs,
    facts: () => ({
      isTwoWay: options.isTwoWay ?? false,
      isBinary: options.isBinary ?? false,
      isShared: shared !== undefined,
      isPage: (globalThis as { document?: unknown }).document !== undefined,
      hasWebSocket: socket !== undefined,
    }),
    onChange: applyChoice,
  })
  const chosen = () => selector.explain().transport
  const sse = createSseTransport(http, gauges)
  const transports = {
    sse,
    hybrid: sse,
    poll: createPollTransport(http, gauges, timings),
    ws: socket === undefined ? sse : { open: socket.attach },
  }
  const own = { transports, sender: createCommandSender({ http, socket, selector }) }
  const readOnce: OwnCarrier['pollOnce'] = (source, from, signal) => pollOnce(http, source, from, 0, signal)
  const shared = options.tabs?.({ ...own, base, timings, pollOnce: readOnce, onLeading })
  const carrier = shared ?? own
  /** Why the last command was not answered, and how many attempts in a row were not. */
  let unanswered: { readonly error: MillraceError; readonly attempts: number } | undefined
  const outbox = createOutbox(carrier.sender, timings, (error, attempts = 0) => {
    const before = unanswered
    unanswered = error && { error, attempts }
    if (before !== unanswered) update()
  })
  const links = createLinks({
    transports: carrier.transports,
    timings,
    gauges,
    inspectors,
    selector,
    whenLed: () => whenAddressed ?? shared?.whenLed,
    onLive() {
      onReached()
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

  /** Undefined where the server asks nobody for a token. */
  async function getTicket(): Promise<string | undefined> {
    try {
      return ((await http.json('api/tickets', { body: {} })) as { ticket: string }).ticket
    } catch (error) {
      if (toError(error).code === 'unauthenticated') return undefined
      throw error
    }
  }

  function onLeading(): void {
    keepSocket()
    update()
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
    const { error = unanswered?.error, attempt } = shown
    const attempts = Math.max(attempt, unanswered?.attempts ?? 0)
    const isElsewhere = error?.code === 'unreachable' && !isReached && attempts >= attemptsMax && isOtherOrigin(base)
    const why = error !== undefined && { error: isElsewhere ? otherOrigin : error }
    return { ...shown, ...facts, ...why } as ConnectionStatus
  }
}
