/** The ways to one server: HTTP, one WebSocket where the host has it, and the transports over both. */
import { isOtherOrigin, resolveBase } from './address.ts'
import type { ConnectOptions } from './connect-options.ts'
import { MillraceError } from './errors.ts'
import { createHttp, type Http, toError } from './http.ts'
import type { Gauges } from './status.ts'
import type { Timings } from './timings.ts'
import { createPollTransport } from './transports/poll.ts'
import { createSocket, type Socket, type WebSocketConstructor } from './transports/socket.ts'
import { createSseTransport } from './transports/sse.ts'
import type { Transport, TransportName } from './transports/transport.ts'

export interface ServerAccess {
  /** Ends with a slash; empty where a relative address has no page. */
  readonly base: string
  readonly http: Http
  readonly hasWebSocket: boolean
  /** Undefined also without an address. */
  readonly socket: Socket | undefined
  readonly transports: Readonly<Record<TransportName, Transport>>
  /** Where nothing was asked for, as by a module that a server loads for its page: there is nothing to report. */
  readonly whenAddressed: Promise<never> | undefined
  /** The server, or something on the way, has answered. */
  onReached(): void
  /** The error to show when this number of attempts in a row have failed. */
  explain(error: MillraceError, attempts: number): MillraceError
}

/** Failed attempts after which an unreachable server of another origin gets the message about origins. */
const attemptsMax = 3
/** A browser does not let a page know why it may not read an answer, so this is a guess. */
const otherOrigin = new MillraceError('unreachable', {
  message: "The server was never reached: start it, or serve it from this page's origin.",
})

export function createServerAccess(
  url: string | URL | undefined,
  options: ConnectOptions,
  timings: Timings,
  gauges: Gauges,
): ServerAccess {
  let isReached = false
  const base = resolveBase(url ?? '.')
  const whenAddressed = base === '' && url === undefined ? new Promise<never>(() => {}) : undefined
  // Called as a plain function: browsers reject a fetch that is called as a method of another object.
  const fetch = options.fetch ?? ((...request: Parameters<typeof globalThis.fetch>) => globalThis.fetch(...request))
  const WebSocket = options.WebSocket ?? ((globalThis as { WebSocket?: unknown }).WebSocket as WebSocketConstructor | undefined)
  const { token } = options
  const shared = { ...options, base, timings, gauges, onReached }
  const http = createHttp({ ...shared, token, fetch, answerMs: timings.answerMs, whenAddressed })
  const socket =
    WebSocket && base
      ? createSocket({
          ...shared,
          WebSocket,
          getTicket: token && getTicket,
          // Who is known by a cookie has a ticket for that.
          renew: async () => (token ? { token: await http.token('expired') } : { ticket: await getTicket() }),
        })
      : undefined
  const sse = createSseTransport(http, gauges)
  const ws = socket ? { open: socket.attach } : sse
  const transports = { sse, hybrid: sse, poll: createPollTransport(http, gauges, timings), ws }
  return { base, http, hasWebSocket: WebSocket !== undefined, socket, transports, whenAddressed, onReached, explain }

  function onReached(): void {
    isReached = true
  }

  function explain(error: MillraceError, attempts: number): MillraceError {
    const isElsewhere = error.code === 'unreachable' && !isReached && attempts >= attemptsMax && isOtherOrigin(base)
    return isElsewhere ? otherOrigin : error
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
}
