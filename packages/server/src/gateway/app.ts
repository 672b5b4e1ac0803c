/**
 * The HTTP face as one web-standard application. Requests come in checked, errors go out with a code,
 * and a stream is handed to its transport: on Node with the socket, elsewhere as a web stream.
 */
import { readFile } from 'node:fs/promises'
import type { HttpBindings } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { encodeJson, MillraceError } from '@millrace/protocol'
import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { identify } from '../access/caller.ts'
import type { ReadHeader } from '../access/host-names.ts'
import { checkOrigin, checkStart } from '../access/origin.ts'
import type { Connection } from '../transports/connections.ts'
import { type SseTransport, sseHeaders } from '../transports/sse.ts'
import { wantsJson } from './accept.ts'
import { readJson } from './body.ts'
import { type Asked, formatError, toMillraceError } from './error-response.ts'
import { errorsPage } from './errors-page.ts'
import { openApiDocument } from './openapi.ts'
import type { Route, RouteResponse } from './route.ts'
import { createRoutes, type GatewayOptions } from './routes.ts'
import { check } from './schemas.ts'

export interface AppOptions extends GatewayOptions {
  readonly sse: SseTransport
  readonly version: string
  readonly isStopping: () => boolean
  /** Folder of the web page; undefined serves none. */
  readonly page: string | undefined
  readonly onError: (error: unknown) => void
}

/** On Node the request and the response are handed along; a web-standard host has neither. */
type Env = { Bindings: Partial<HttpBindings> }
export type App = Hono<Env>
type RouteInput = Parameters<Route['handle']>[0]

const pagePolicy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'"

export function createApp(options: AppOptions): App {
  const { sse, connections, version, page, onError } = options
  const routes = createRoutes(options)
  // An address with a slash behind it is the same.
  const app: App = new Hono({ strict: false })

  app.use(forbidSniffing)
  app.use('/api/*', rejectOtherSites)
  for (const route of routes) {
    app.on(route.method.toUpperCase(), route.path, async (context) => {
      if (options.isStopping() && !route.isForStopping) throw new MillraceError('server_stopping')
      let connection: Connection | undefined
      const request = await readRequest(context, route, (transport, log) => {
        const { caller } = request
        connection = connections.open({ transport, principal: caller.principal, address: caller.address }, log)
        return connection
      })
      try {
        const result = await (context.req.method === 'HEAD' ? answerHead(route, request) : route.handle(request))
        if (!('stream' in result)) return answer(context, result)
        if (context.req.method === 'HEAD') return new Response(null, { headers: sseHeaders })
        const stream = { ...result.stream, ...(connection && { connection }) }
        // Its end is the stream's.
        connection = undefined
        return serve(context, stream)
      } finally {
        connection?.close()
      }
    })
  }
  let openApi: string | undefined
  app.get('/api/openapi.json', (context) => {
    openApi ??= encodeJson(openApiDocument(routes, version))
    return context.body(openApi, 200, { 'content-type': 'application/json' })
  })
  app.get('/docs/errors', (context) => context.html(errorsPage()))
  for (const [path, methods] of methodsByPath(routes)) {
    app.all(path, (context) => errorResponse(new MillraceError('method_not_allowed'), askedBy(context), { allow: methods }))
  }
  if (page !== undefined) servePage(app, page)
  app.notFound(() => throwError(new MillraceError('not_found')))
  app.onError((error, context) => errorResponse(toMillraceError(error, onError), askedBy(context)))
  return app

  function serve(context: Context<Env>, stream: Parameters<SseTransport['serve']>[0]): Response {
    const { incoming, outgoing } = context.env ?? {}
    if (incoming === undefined || outgoing === undefined) return sse.respond(stream, context.req.raw.signal)
    sse.serve(stream, incoming, outgoing as never)
    return new Response(null, { headers: { 'x-hono-already-sent': 'true' } })
  }
}

/** What a GET would answer, found out without starting, opening or waiting for anything. */
async function answerHead(route: Route, request: RouteInput): Promise<RouteResponse> {
  const { input, lastEventId = input.lastEventId } = request
  // Only what would start something may answer that it has only started it.
  const isStart = 202 in route.answers && lastEventId === undefined
  if (!isStart) return route.handle({ ...request, signal: AbortSignal.abort() })
  return request.wantsJson ? { status: 202, json: {} } : { status: 200, text: '', headers: sseHeaders }
}

function answer(context: Context<Env>, result: Exclude<RouteResponse, { stream: unknown }>): Response {
  context.header('cache-control', 'no-store')
  if ('text' in result) {
    const headers = { 'content-type': 'application/json', ...result.headers }
    return context.body(result.text, result.status as 200, headers)
  }
  if (result.json === undefined) return context.body(null, result.status as 204)
  return context.body(encodeJson(result.json), result.status as 200, { 'content-type': 'application/json' })
}

export function errorResponse(error: MillraceError, asked: Asked, more: Record<string, string> = {}): Response {
  const { status, headers, body } = formatError(error, asked)
  return new Response(body, { status, headers: { ...headers, ...more } })
}

function askedBy({ req }: Context): Asked {
  return { method: req.method, accept: req.header('accept') }
}

async function readRequest(context: Context<Env>, route: Route, connect: RouteInput['connect']): Promise<RouteInput> {
  const { req } = context
  const input = {
    ...(route.params && check(route.params, req.param())),
    ...(route.query && check(route.query, readQuery(route.query, req.queries()))),
    ...(route.body && check(route.body, await readJson(context.req.raw, hostBody(context)))),
  }
  // An EventSource whose last id was reset sends none; an empty one means the same.
  const lastEventId = req.header('last-event-id') || undefined
  const isStart = 202 in route.answers && route.method === 'get' && (lastEventId ?? input.lastEventId) === undefined
  if (isStart) checkStart(headerOf(context), req.url)
  return {
    input,
    caller: identify({
      transport: 'http',
      address: context.env?.incoming?.socket.remoteAddress,
      path: req.path,
      headers: req.raw.headers,
    }),
    signal: req.raw.signal,
    lastEventId,
    wantsJson: wantsJson(req.header('accept') ?? ''),
    connect,
  }
}

/** Only a field that is a list may be repeated; in another, a list is what its schema rejects. */
function readQuery(schema: z.ZodObject, queries: Record<string, string[]>): Record<string, string | string[]> {
  const isList = (name: string) => schema.shape[name] instanceof z.ZodDefault && schema.shape[name].unwrap() instanceof z.ZodArray
  return Object.fromEntries(
    Object.entries(queries).map(([name, values]) => [name, values.length > 1 || isList(name) ? values : (values[0] as string)]),
  )
}

/** What a host such as Express may have read before us; where there was no body, an empty object. */
function hostBody({ env }: Context<Env>): unknown {
  return (env?.incoming as { body?: unknown } | undefined)?.body
}

function headerOf({ req }: Context<Env>): ReadHeader {
  return (name) => req.header(name)
}

async function rejectOtherSites(context: Context<Env>, next: () => Promise<void>): Promise<void> {
  checkOrigin(headerOf(context), context.req.url)
  await next()
}

/** A browser that is led to JSON or a stream as a page MUST NOT find a page in what somebody said. */
async function forbidSniffing(context: Context<Env>, next: () => Promise<void>): Promise<void> {
  await next()
  context.res.headers.set('x-content-type-options', 'nosniff')
}

function servePage(app: App, root: string): void {
  app.use('/assets/*', async (context, next) => {
    await next()
    if (context.res.ok) context.header('cache-control', 'public, max-age=31536000, immutable')
  })
  app.get('/', async (context) => {
    context.header('content-security-policy', pagePolicy)
    context.header('cache-control', 'no-cache')
    return context.html(await readFile(`${root}/index.html`, 'utf8'))
  })
  app.use('/*', serveStatic({ root }))
}

function methodsByPath(routes: readonly Route[]): Map<string, string> {
  const methods = new Map<string, string>()
  for (const { method, path } of routes) {
    methods.set(path, [methods.get(path), method.toUpperCase()].filter(Boolean).join(', '))
  }
  return methods
}

function throwError(error: MillraceError): never {
  throw error
}
