/** Who makes a request: collects its details and credentials for access/, over HTTP and in a WebSocket's handshake. */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Access } from '../access/access.ts'
import { anonymous, type Caller, type Principal, type RequestFacts } from '../access/caller.ts'
import { headerOf, type ReadHeader } from '../access/host-names.ts'
import type { FindClient, Peer } from '../access/proxies.ts'
import type { PresentedTicket } from '../access/tickets.ts'
import { heartbeatPath, type Limits } from '../limits/limits.ts'
import type { Route } from './route.ts'

export type RequestEnv = {
  /** Node's request and response; a web-standard host has neither. `isOwnServer` where the HTTP server is not a host's. */
  Bindings: Partial<HttpBindings> & { readonly isOwnServer?: boolean }
  Variables: { caller?: Caller; cookie?: string }
}

/** The cookie of a browser that has used a ticket; only addresses that accept tickets get it. */
const ticketCookie = 'millrace-ticket'
const cookiePattern = /(?:^|;\s*)millrace-ticket=([^;]*)/

type RequestLimits = Pick<Limits, 'requireRequest' | 'take'>

/** Middleware before every route of the API: rejects pages of other sites, and requests without valid credentials. */
export function createAdmit({ checkOrigin, authenticate, findClient }: Access, limits: RequestLimits, routes: readonly Route[]) {
  const ticketPaths = new Set(routes.filter(({ acceptsTicket }) => acceptsTicket).map(({ path }) => path))
  const isPublicPath = matchPaths(routes.filter(({ isPublic }) => isPublic).map(({ path }) => path))
  return async (context: Context<RequestEnv>, next: () => Promise<void>): Promise<void> => {
    const facts = factsOf(context, findClient)
    // Our own server has checked it already: request-rate.ts.
    if (!context.env?.isOwnServer) limits.requireRequest(facts.address, facts.path)
    checkOrigin((name) => context.req.header(name), context.req.url)
    // On an open server every caller is the same.
    if (authenticate === undefined || isPublicPath(context.req.path)) return next()
    const ticket = findTicket(context, facts, ticketPaths)
    const principal = await authenticate({ ...facts, node: context.env?.incoming, ticket })
    const caller = Object.assign(facts, { principal })
    // Every open stream acknowledges heartbeats.
    if (facts.path !== heartbeatPath) await limits.take('requestsPerSecond', caller)
    context.set('caller', caller)
    await next()
    if (ticket === undefined) return
    context.res.headers.set('referrer-policy', 'no-referrer')
    const cookie = context.get('cookie')
    if (cookie !== undefined) context.res.headers.append('set-cookie', cookie)
  }
}

/** Each path is a text, or has parameters such as `:id`, which stand for one segment. */
function matchPaths(paths: readonly string[]): (path: string) => boolean {
  const exact = new Set(paths.filter((path) => !path.includes(':')))
  const patterns = paths.filter((path) => path.includes(':')).map((path) => path.split('/'))
  return (path) => {
    if (exact.has(path)) return true
    if (patterns.length === 0) return false
    const segments = path.split('/')
    return patterns.some(
      (pattern) =>
        pattern.length === segments.length && pattern.every((part, index) => part.startsWith(':') || part === segments[index]),
    )
  }
}

/** The caller of a request on an open server, and of one whose credentials are not looked at. */
export function identifyNobody(context: Context<RequestEnv>, findClient: FindClient): Caller {
  return Object.assign(factsOf(context, findClient), { principal: anonymous })
}

function factsOf({ req, env }: Context<RequestEnv>, findClient: FindClient): RequestFacts {
  const incoming = env?.incoming
  const header: ReadHeader = (name) => req.header(name)
  const isSecure = incoming === undefined ? req.url.startsWith('https:') : isEncrypted(incoming)
  const client = findClient({ address: incoming?.socket.remoteAddress, isSecure }, header)
  return {
    transport: 'http',
    address: client.address,
    isSecure: client.isSecure,
    path: req.path,
    get headers() {
      return req.raw.headers
    },
    get origin() {
      return header('origin')
    },
  }
}

export function findPeer(request: IncomingMessage, { findClient }: Pick<Access, 'findClient'>): Peer {
  return findClient({ address: request.socket.remoteAddress, isSecure: isEncrypted(request) }, headerOf(request))
}

/**
 * The caller of a handshake, whose ticket is used once. Rejects as `authenticate` does. Not a promise where the server is
 * open: most handshakes would only wait for it.
 */
export function identifyHandshake(
  request: IncomingMessage,
  client: Peer,
  ticket: string | undefined,
  { authenticate }: Access,
): Caller | Promise<Caller> {
  // A copy for each: the one that was asked for its headers keeps them.
  const callerOf = (principal: Principal) => Object.assign(new HandshakeFacts(request, client), { principal })
  if (authenticate === undefined) return callerOf(anonymous)
  const presented = ticket === undefined ? undefined : { ticket, binding: undefined }
  const credentials = Object.assign(new HandshakeFacts(request, client), { node: request, ticket: presented })
  return authenticate(credentials).then(callerOf)
}

/** The handshake's details, which live as long as the connection. */
class HandshakeFacts implements RequestFacts {
  readonly transport = 'ws'
  readonly address: string | undefined
  readonly isSecure: boolean
  readonly path: string
  /** Names and values in turn, each in a line. One string takes a fraction of what `Headers` take, and few hosts read them. */
  private readonly headerLines: string
  /** Fields that a copy has too: a connection that is renewed has another principal. */
  private parsed: Headers | undefined

  constructor({ url = '', rawHeaders }: IncomingMessage, { address, isSecure }: Peer) {
    this.address = address
    this.isSecure = isSecure
    this.path = url.split('?', 1)[0] ?? ''
    this.headerLines = rawHeaders.join('\n')
  }

  get headers(): Headers {
    this.parsed ??= parseHeaders(this.headerLines.split('\n'))
    return this.parsed
  }

  get origin(): string | undefined {
    return this.headers.get('origin') ?? undefined
  }
}

function parseHeaders(lines: readonly string[]): Headers {
  const headers = new Headers()
  for (let index = 0; index < lines.length; index += 2) headers.append(lines[index] as string, lines[index + 1] as string)
  return headers
}

/** Not of `HEAD`, which would use it up and open nothing. */
function findTicket(
  context: Context<RequestEnv>,
  { headers, path, isSecure }: RequestFacts,
  ticketPaths: ReadonlySet<string>,
): PresentedTicket | undefined {
  const cookiePath = path.replace(/\/$/, '')
  const ticket = context.req.method === 'GET' && ticketPaths.has(cookiePath) ? context.req.query('ticket') : undefined
  if (ticket === undefined) return undefined
  return {
    ticket,
    binding: cookiePattern.exec(headers.get('cookie') ?? '')?.[1],
    bind(binding, expiresAt) {
      const seconds = Math.max(1, Math.ceil((expiresAt - Date.now()) / 1000))
      const attributes = `Path=${cookiePath}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`
      setCookie(context, `${ticketCookie}=${binding}; ${attributes}`)
    },
  }
}

/** On Node before the response exists, because the transport of a stream writes it; elsewhere `admit` adds it. */
function setCookie(context: Context<RequestEnv>, cookie: string): void {
  const outgoing = context.env?.outgoing
  if (outgoing === undefined) context.set('cookie', cookie)
  else outgoing.setHeader('set-cookie', cookie)
}

function isEncrypted({ socket }: IncomingMessage): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true
}
