/** The introductions: what an application gets from `connect`, put together from its parts. */

import type { OwnCarrier, TabSharing } from './carrier.ts'
import { type AnyEvents, type Channel, createChannel } from './channel.ts'
import { createOutbox } from './commands/outbox.ts'
import { createCommandSender } from './commands/sender.ts'
import { MillraceError } from './errors.ts'
import { listenToHost, newId } from './host.ts'
import { createHttp, type TokenRequest } from './http.ts'
import { type Avoided, type Choice, chooseTransport } from './link/choice.ts'
import { createLink, type Link } from './link/link.ts'
import type { LinkState } from './link/link-state.ts'
import { checkFrom, type LogReader, type LogReaderOptions } from './log-reader.ts'
import { createRegistry } from './registry.ts'
import { createSession, type Session } from './session.ts'
import { createSessionList, type SessionList } from './session-list.ts'
import { type ConnectionStatus, type ConnectionStore, summarize, tellAll } from './status.ts'
import { checkTimings, type Timings, timerMsMax } from './timings.ts'
import { createPollTransport, pollOnce } from './transports/poll.ts'
import { createSocket, type WebSocketConstructor } from './transports/socket.ts'
import { createSseTransport } from './transports/sse.ts'
import type { FlowOptions, Transport, TransportName } from './transports/transport.ts'

export interface ConnectOptions {
  /**
   * What carries events down and commands up. `sse`: server-sent events and POST. `ws`: one WebSocket for both.
   * `hybrid`: events over SSE, commands over a WebSocket, or POST where that is blocked. `poll`: one answer at a
   * time, and POST. `auto`, the default: see `explainTransport`. Throws a TypeError for any other, and for `ws` where
   * there is no WebSocket.
   */
  readonly transport?: TransportName | 'auto'
  /** With `auto`: the application sends often, so a WebSocket is worth having. Default false; others ignore it. */
  readonly isTwoWay?: boolean
  /**
   * With `auto`: the data of events is bytes, which a WebSocket carries as they are and everything else a third larger,
   * as base64. Default false; others ignore it.
   */
  readonly isBinary?: boolean
  /**
   * Gives the bearer token; called for every request and so for every reconnection, and once more with `expired` or
   * `rejected` where the server refused it with 401. Sent as `Authorization` and nowhere else: a WebSocket does not carry
   * it, so with a token `auto` takes SSE. Default none. Waited for as long as for an answer. Where it rejects,
   * `connection.error` is `token_failed`, with its error as `cause`, and it is called again later; rejected with a
   * MillraceError that is not `retryable`, it is not. Tabs that share a connection use the leader's.
   */
  readonly token?: (request: TokenRequest) => string | Promise<string>
  /** Default the host's. A WebSocket ignores it; sessions are made, read and listed with it over every transport. */
  readonly fetch?: typeof globalThis.fetch
  /** Default the host's; `sse` and `poll` ignore it. Where there is none, `ws` cannot be asked for and `hybrid` uses POST. */
  readonly WebSocket?: WebSocketConstructor
  /**
   * One connection for all tabs of this origin: `shareTabs()` of `@millrace/client/tabs`. Default none, each tab
   * its own. With it `auto` takes a WebSocket first, because one carries up to 64 sessions and channels. What is shared
   * is read whole: `slow` and `interval` are ignored. Hosts without Web Locks or BroadcastChannel ignore it.
   */
  readonly tabs?: TabSharing
  /** How long is waited for what; each has a default, a limit and an effect of its own. Default all of them. */
  readonly timings?: Partial<Timings>
}

/** Where any of these is given, nobody may be reading the session. */
export interface SessionStart extends FlowOptions {
  /** `start` (the default), `now`, or a position that an event or `read` gave. */
  readonly from?: string
}

/** Where any of these is given, nobody may be reading the channel. */
export interface ChannelStart extends FlowOptions {
  /** `now` (the default), `start`, or a position. */
  readonly from?: string
}

export interface Client {
  readonly connection: ConnectionStore
  /**
   * Without an id a new session, made on the server when it is first read or asked in. The same id gives the same object
   * while somebody holds or reads it, unless it shall be read in another way; later one that goes on at its position.
   */
  session(id?: string, options?: SessionStart): Session
  /**
   * A log that many write and read: 1 to 128 characters of `A-Z a-z 0-9 _ . : / -`. The same name gives the same channel,
   * as with sessions. `Events` are the names of its events and what each carries, `channel<{ message: string }>('room')`;
   * nobody checks that whoever publishes keeps to them.
   */
  channel<Events extends object = AnyEvents>(name: string, options?: ChannelStart): Channel<Events>
  /** Which sessions there are; to rename, delete and export them. */
  readonly sessions: SessionList
  /** This tab's connections are those of all; always true where tabs share nothing. */
  readonly isLeading: boolean
  /** Changes the transport, also in mid-answer: the new stream begins where the old one is, which is closed when the new one has caught up. */
  setTransport(transport: TransportName | 'auto'): void
  /** What is used for the next connection, and why. */
  explainTransport(): Choice
  /** Ends every loop and connection. What still waits to be sent is rejected with `closed`. */
  close(): void
}

/**
 * `url` is where the server is, with the path it is mounted at, without `/api`; relative to the page in a browser.
 * Nothing is connected until there is something to read or to send. On a server, where there is no page, that is
 * rejected for a relative address; to make clients and sessions is not.
 */
export function connect(url: string | URL = '.', options: ConnectOptions = {}): Client {
  const timings = checkTimings(options.timings, options.transport)
  const base = baseOf(url)
  const WebSocket = options.WebSocket ?? ((globalThis as { WebSocket?: unknown }).WebSocket as WebSocketConstructor | undefined)
  // Called as a plain function: browsers refuse a fetch that has become somebody's method.
  const fetch = options.fetch ?? ((...request: Parameters<typeof globalThis.fetch>) => globalThis.fetch(...request))
  let isReached = false
  const onReached = () => {
    isReached = true
  }
  const http = createHttp({ base, fetch, token: options.token, answerMs: timings.answerMs, onReached })
  const socket = WebSocket === undefined || base === '' ? undefined : createSocket(base, WebSocket, timings, onReached)
  const avoided = new Map<TransportName, Avoided>()
  let requested = checkTransport(options.transport ?? 'auto', WebSocket)
  const sender = createCommandSender({
    http,
    socket,
    asked: () => requested,
    transport: () => explain().transport,
    isBlocked: () => (avoided.get('ws')?.until ?? 0) > performance.now(),
    onBlocked: (error) => avoid('ws', error),
  })
  const own = { transports: createTransports(), sender }
  const readOnce: OwnCarrier['pollOnce'] = (source, from, signal) => pollOnce(http, source, from, 0, signal)
  const shared = options.tabs?.({ ...own, base, timings, pollOnce: readOnce, onLeading: () => keepSocket() })
  const { transports } = shared ?? own
  let lastRefusal: { readonly error: MillraceError; readonly attempts: number } | undefined
  const outbox = createOutbox((shared ?? own).sender, timings, (error, attempts = 0) => {
    const before = lastRefusal
    lastRefusal = error && { error, attempts }
    if (before !== lastRefusal) tell()
  })
  const links = new Set<Link>()
  const sessions = createRegistry<Session>('start')
  const channels = createRegistry<Channel>('now')
  /** What is being read is held. */
  const active = new Set<LogReader>()
  const reading = { outbox, openLink, closeLink, onReading }
  const listeners = new Set<(status: ConnectionStatus) => void>()
  let lastFailed: LinkState | undefined
  let isClosed = false
  let current = status()
  const stopListening = listenToHost((news) => {
    for (const link of links) link.dispatch({ type: news })
    if (news !== 'offline') outbox.kick()
  })
  keepSocket()

  return {
    connection: {
      get current() {
        return current
      },
      subscribe(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    session(given, start = {}) {
      checkOpen(start)
      const id = given ?? newId()
      return sessions.get(id, start, (entry) => createSession({ ...reading, ...entry, id, http }), given !== undefined)
    },
    channel<Events extends object>(name: string, start: ChannelStart = {}) {
      checkOpen(start)
      const channel = channels.get(name, start, (entry) => createChannel({ ...reading, ...entry, name }))
      return channel as object as Channel<Events>
    },
    sessions: createSessionList(http),
    get isLeading() {
      return shared?.isLeading ?? true
    },
    setTransport(transport) {
      requested = checkTransport(transport, WebSocket)
      // Whoever asks for it wants it tried, also where it has failed.
      avoided.clear()
      for (const link of links) link.dispatch({ type: 'switch', to: explain().transport })
      reconsider()
    },
    explainTransport: explain,
    close() {
      if (isClosed) return
      isClosed = true
      stopListening()
      for (const one of active) one.leave()
      outbox.close()
      shared?.close()
      socket?.close()
      tell()
      listeners.clear()
    },
  }

  function checkOpen({ from = 'start' }: SessionStart): void {
    if (isClosed) throw new MillraceError('closed')
    checkFrom(from)
  }

  function onReading(logReader: LogReader): void {
    if (logReader.isBeingRead) active.add(logReader)
    else active.delete(logReader)
    tell()
  }

  function explain(): Choice {
    return chooseTransport({
      requested,
      isTwoWay: options.isTwoWay ?? false,
      isBinary: options.isBinary ?? false,
      isShared: shared !== undefined,
      isPage: (globalThis as { document?: unknown }).document !== undefined,
      hasToken: options.token !== undefined,
      hasWebSocket: socket !== undefined,
      avoided,
      now: performance.now(),
    })
  }

  function openLink(...[source, reader, prepare]: Parameters<LogReaderOptions['openLink']>): Link {
    if (isClosed) throw new MillraceError('closed')
    const link = createLink({
      source,
      reader,
      transports,
      timings,
      prepare() {
        const led = shared?.whenLed
        return led === undefined ? prepare() : led.then(prepare)
      },
      choose: () => explain().transport,
      onUnfit: avoid,
      onFit(transport) {
        avoided.delete(transport)
        queueMicrotask(reconsider)
      },
      onState({ phase }) {
        // What waits goes up as soon as there is a sign of life, not when its own wait is over.
        if (phase === 'live') {
          onReached()
          outbox.kick()
        }
        tell()
      },
    })
    lastFailed = undefined
    links.add(link)
    link.dispatch({ type: 'start' })
    return link
  }

  function avoid(transport: TransportName, { message }: MillraceError): void {
    // Where not even long-poll works it is the network: nothing is known of the others.
    if (transport === 'poll') return avoided.clear()
    avoided.set(transport, { until: performance.now() + timings.avoidMs, reason: message })
    // After what runs now: a link's effect MUST NOT change its state under the step that caused it.
    queueMicrotask(reconsider)
    const timer = setTimeout(reconsider, timings.avoidMs + 1)
    // Elsewhere than in a browser it would keep the process alive.
    ;(timer as { unref?: () => void }).unref?.()
  }

  /** Goes over to what is best now. */
  function reconsider(): void {
    if (isClosed) return
    keepSocket()
    const to = explain().transport
    for (const link of links) if (link.state.target !== to) link.dispatch({ type: 'switch', to })
    tell()
  }

  function closeLink(link: Link): void {
    if (link.state.error !== undefined && link.state.phase === 'closed') lastFailed = link.state
    links.delete(link)
    link.dispatch({ type: 'close' })
    tell()
  }

  function status(): ConnectionStatus {
    const { transport } = explain()
    if (isClosed) return { state: 'closed', transport, attempt: 0 }
    const states = [...links].map(({ state }) => state)
    const shown = summarize(states.length === 0 && lastFailed !== undefined ? [lastFailed] : states, transport, performance.now())
    // Where nothing is read, what is sent tells how it is.
    const { error = lastRefusal?.error, attempt } = shown
    const attempts = Math.max(attempt, lastRefusal?.attempts ?? 0)
    const isElsewhere = error?.code === 'unreachable' && !isReached && attempts >= attemptsMax && isOtherOrigin(base)
    return { ...shown, ...(error !== undefined && { error: isElsewhere ? otherOrigin : error }) }
  }

  function tell(): void {
    const next = status()
    const isSame = (['state', 'transport', 'attempt', 'error'] as const).every((key) => next[key] === current[key])
    // It begins and ends with an attempt; between them only time passes.
    if (isSame && (next.retryAt === undefined) === (current.retryAt === undefined)) return
    current = next
    tellAll(listeners, current)
  }

  /** A way up over the WebSocket stays open, or with `auto` for a while: else each command costs a handshake. */
  function keepSocket(): void {
    const isUsed = (requested === 'hybrid' || explain().transport === 'ws') && shared?.isLeading !== false
    socket?.keep(isUsed ? (requested === 'auto' ? timings.silenceMs : timerMsMax) : 0)
  }

  function createTransports(): Record<TransportName, Transport> {
    const sse = createSseTransport(http)
    return {
      sse,
      hybrid: sse,
      poll: createPollTransport(http, timings),
      ws: socket === undefined ? sse : { open: socket.attach },
    }
  }
}

/** A browser does not tell a page why it may not read an answer; after so many attempts it is worth a guess. */
const attemptsMax = 3
const otherOrigin = new MillraceError('unreachable', {
  message:
    'The server was never reached. It refuses pages of other origins (scheme, host and port): serve this page and the API from one, or start the server.',
})

function isOtherOrigin(base: string): boolean {
  const { origin } = (globalThis as { location?: { origin: string } }).location ?? {}
  return origin !== undefined && base !== '' && new URL(base).origin !== origin
}

function checkTransport(transport: TransportName | 'auto', WebSocket: unknown): TransportName | 'auto' {
  const all = 'auto, ws, sse, hybrid and poll'
  if (!all.split(/, | and /).includes(transport)) throw new TypeError(`There is no transport "${transport}"; there are ${all}.`)
  if (transport === 'ws' && WebSocket === undefined) {
    throw new TypeError('This host has no WebSocket; give connect() one, or take another transport.')
  }
  return transport
}

function baseOf(url: string | URL): string {
  const page = (globalThis as { location?: { href: string } }).location?.href
  if (page === undefined && !URL.canParse(String(url))) return ''
  const base = new URL(url, page)
  base.search = base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base.href
}
