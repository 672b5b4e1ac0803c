/**
 * The HTTP face as one web-standard application. Requests come in checked, errors go out with a code,
 * and a stream is handed to its transport: on Node with the socket, elsewhere as a web stream.
 */
import { readFile } from 'node:fs/promises'
import type { HttpBindings } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { MillraceError } from '@millrace/protocol'
import { type Context, Hono } from 'hono'
import { type SseTransport, sseHeaders } from '../transports/sse.ts'
import { anonymous } from './authorize.ts'
import { readJson } from './body.ts'
import { errorsPage } from './errors-page.ts'
import { openApiDocument } from './openapi.ts'
import { checkOrigin } from './origin.ts'
import { retryAfter, toRefusal } from './refuse.ts'
import type { Route, RouteAnswer } from './route.ts'
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
  const app: App = new Hono()

  app.use('/api/*', refuseOtherSites)
  for (const route of routes) {
    app.on(route.method.toUpperCase(), route.path, async (context) => {
      if (options.isStopping() && !route.isForStopping) throw new MillraceError('server_stopping')
      const request = await readRequest(context, route)
      if (context.req.method === 'HEAD') return answerHead(context, route, request)
      return answer(context, await route.handle(request))
    })
  }
  let openApi: unknown
  app.get('/api/openapi.json', (context) => {
    openApi ??= openApiDocument(routes, version)
    return context.json(openApi as object)
  })
  app.get('/docs/errors', (context) => context.html(errorsPage()))
  for (const [path, methods] of methodsByPath(routes)) {
    app.all(path, () => refuse(new MillraceError('method_not_allowed'), { allow: methods }))
  }
  if (page !== undefined) servePage(app, page)
  app.notFound(() => throwError(new MillraceError('not_found')))
  app.onError((error) => refuse(toRefusal(error, onError)))
  return app

  /** What a GET would answer, found out without starting, opening or waiting for anything. */
  async function answerHead(context: Context<Env>, route: Route, request: RouteInput): Promise<Response> {
    const { input, lastEventId = input.lastEventId, wantsJson } = request
    // Only what would start something may answer that it has only started it.
    const isStart = 202 in route.answers && lastEventId === undefined
    if (isStart && wantsJson) return answer(context, { status: 202, json: {} })
    const result = isStart ? undefined : await route.handle({ ...request, signal: AbortSignal.abort() })
    if (result === undefined || 'stream' in result) return new Response(null, { headers: sseHeaders })
    return answer(context, result)
  }

  function answer(context: Context<Env>, result: RouteAnswer): Response {
    if (!('stream' in result)) {
      context.header('cache-control', 'no-store')
      if ('text' in result) {
        const headers = { 'content-type': 'application/json', ...result.headers }
        return context.body(result.text, result.status as 200, headers)
      }
      if (result.json === undefined) return context.body(null, result.status as 204)
      return context.json(result.json as object, result.status as 200)
    }
    const { incoming, outgoing } = context.env ?? {}
    const info = { transport: 'sse', principal: anonymous.id, address: incoming?.socket.remoteAddress } as const
    const connection = connections.open(info, result.stream.log)
    const stream = { ...result.stream, onClose: () => connection.close() }
    if (incoming === undefined || outgoing === undefined) return sse.respond(stream, context.req.raw.signal)
    sse.serve(stream, incoming, outgoing as never)
    return new Response(null, { headers: { 'x-hono-already-sent': 'true' } })
  }
}

export function refuse(error: MillraceError, headers: Record<string, string> = {}): Response {
  const all = { 'cache-control': 'no-store', ...retryAfter(error), ...headers }
  return Response.json(error.toBody(), { status: error.status, headers: all })
}

async function readRequest(context: Context<Env>, route: Route): Promise<RouteInput> {
  const { req } = context
  const input = {
    ...(route.params && check(route.params, req.param())),
    ...(route.query && check(route.query, req.query())),
    ...(route.body && check(route.body, await readJson(context.req.raw, hostBody(context)))),
  }
  const accept = req.header('accept') ?? ''
  return {
    input,
    principal: anonymous,
    address: context.env?.incoming?.socket.remoteAddress,
    signal: req.raw.signal,
    // An EventSource whose last id was reset sends none; an empty one means the same.
    lastEventId: req.header('last-event-id') || undefined,
    wantsJson: accept.includes('application/json') && !accept.includes('text/event-stream'),
  }
}

/** What a host such as Express may have read before us; where there was no body, an empty object. */
function hostBody({ env }: Context<Env>): unknown {
  return (env?.incoming as { body?: unknown } | undefined)?.body
}

async function refuseOtherSites({ req }: Context<Env>, next: () => Promise<void>): Promise<void> {
  checkOrigin({ site: req.header('sec-fetch-site'), origin: req.header('origin'), address: req.url })
  await next()
}

function servePage(app: App, root: string): void {
  app.use('/assets/*', async (context, next) => {
    await next()
    if (context.res.ok) context.header('cache-control', 'public, max-age=31536000, immutable')
  })
  app.get('/', async (context) => {
    context.header('content-security-policy', pagePolicy)
    context.header('cache-control', 'no-cache')
    context.header('x-content-type-options', 'nosniff')
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
