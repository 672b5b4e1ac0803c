/**
 * The HTTP API as one web-standard application. It validates requests, gives every error a code, and hands a response that
 * reads logs to its transport.
 */
import type { ServerResponse } from 'node:http'
import { encodeJson, MillraceError, limits as sizes } from '@millrace/protocol'
import { type Context, Hono } from 'hono'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import { hides, untilNext } from '../access/hiding.ts'
import type { ReadHeader } from '../access/host-names.ts'
import { checkStart } from '../access/origin.ts'
import type { Limits } from '../limits/limits.ts'
import type { Observer } from '../operations/observer.ts'
import { inTraceOf } from '../operations/traces.ts'

import type { Connection } from '../transports/connection.ts'
import type { Connections } from '../transports/connections.ts'
import { eventStreamHeaders } from '../transports/event-stream.ts'
import type { Exchange, HttpTransport, HttpTransports } from '../transports/transport.ts'
import { wantsJson } from './accept.ts'
import { type BodyOptions, readJson } from './body.ts'
import { check } from './check.ts'
import { answerPreflight } from './cross-origin.ts'
import { type Asked, formatError, toMillraceError } from './error-response.ts'
import { errorsPage, errorsPolicy } from './errors-page.ts'
import { type Face, type FaceError, formatAt, isBelow } from './face.ts'
import { createAdmit, type RequestEnv as Env, identifyNobody } from './identify.ts'
import { openApiDocument } from './openapi.ts'
import { servePage } from './page.ts'
import type { Route, RouteResponse } from './route.ts'
import { letArrive } from './slow-bodies.ts'

export interface AppOptions {
  readonly routes: readonly Route[]
  readonly faces: readonly Face[]
  readonly transports: HttpTransports
  readonly connections: Connections
  readonly access: Access
  readonly limits: Limits
  readonly version: string
  readonly isStopping: () => boolean
  /** Folder of the web page; undefined serves none. */
  readonly page: string | undefined
  readonly observer: Observer
  readonly onError: (error: unknown) => void
}

export type App = Hono<Env>
type RouteInput = Parameters<Route['handle']>[0]

export function createApp(options: AppOptions): App {
  const { faces, version, page, observer, onError } = options
  const routes = [...options.routes, ...faces.flatMap((face) => face.routes)]
  // `/healthz/` is the same address as `/healthz`.
  const app: App = new Hono({ strict: false })

  app.use(forbidSniffing)
  const { cors } = options.access
  const admit = createAdmit(options.access, options.limits, routes)
  const all = ['/api', ...faces.map(({ prefix }) => prefix)]
  // Below `/v1` there is `/v1/messages`, where nobody is admitted twice.
  const prefixes = all.filter((prefix) => !all.some((other) => other !== prefix && isBelow([other], prefix)))
  for (const prefix of prefixes) {
    if (cors !== undefined) app.use(`${prefix}/*`, answerPreflight(cors))
    // Also before addresses that do not exist.
    app.use(`${prefix}/*`, admit)
  }
  for (const route of routes) {
    const method = route.method.toUpperCase()
    const handle = (context: Context<Env>) => inTraceOf(headerOf(context), () => serve(context, route, options))
    if (route.isPublic || isBelow(prefixes, route.path)) app.on(method, route.path, handle)
    else app.on(method, route.path, admit, handle)
  }
  let openApi: string | undefined
  app.get('/api/openapi.json', (context) => {
    openApi ??= encodeJson(openApiDocument(options.routes, version))
    return context.body(openApi, 200, { 'content-type': 'application/json' })
  })
  app.get('/docs/errors', (context) => context.html(errorsPage(), 200, { 'content-security-policy': errorsPolicy }))
  for (const [path, methods] of methodsByPath(routes)) {
    app.all(path, (context) => respondError(new MillraceError('method_not_allowed'), context, { allow: methods }))
  }
  if (page !== undefined) servePage(app, page, options.access.findClient)
  app.notFound(() => throwError(new MillraceError('not_found')))
  app.onError((error, context) => {
    const known = toMillraceError(error, onError)
    observer.errorSent?.(known.code)
    return respondError(known, context)
  })
  return app

  function respondError(error: MillraceError, { req }: Context, headers: Record<string, string> = {}): Response {
    const own = formatAt(faces, req.path, error)
    const asked = own === undefined ? { method: req.method, accept: req.header('accept') } : {}
    return errorResponse(error, asked, { ...own, headers: { ...own?.headers, ...headers } })
  }
}

async function serve(context: Context<Env>, route: Route, options: AppOptions): Promise<Response> {
  const { access, connections, transports, limits, observer, isStopping } = options
  if (isStopping() && !route.isForStopping) throw new MillraceError('server_stopping')
  const startedAt = performance.now()
  let transport: HttpTransport = transports.sse
  let connection: Connection | undefined
  const connect: RouteInput['connect'] = (name, log) => {
    const { principal, address } = request.caller
    if (name === 'sse') limits.requireHandshake(address)
    transport = transports[name]
    connection = connections.open({ transport: name, principal, address }, log)
    return connection
  }
  const onBody = (bytes: number) => observer.received?.('http', bytes)
  const request = await readRequest(context, route, options, connect, onBody)
  try {
    const response = await (request.isHead ? answerHead(route, request) : route.handle(request))
    if (!('deliver' in response || 'stream' in response || 'deliverRun' in response)) return answer(context, response)
    const headers = ('headers' in response ? response.headers : undefined) ?? transport.headers
    if (request.isHead) return new Response(null, { headers })
    // From here on the transport or the route closes it.
    connection = undefined
    if ('stream' in response) return new Response(response.stream, { headers })
    const exchange = exchangeOf(context)
    if ('deliverRun' in response) return transports.sse.respondRun(response.deliverRun, exchange)
    return await transport.respond(response.deliver, exchange)
  } catch (error) {
    connection?.close()
    connection = undefined
    if (hides(error)) await untilNext(startedAt, access.hidingMs)
    throw error
  } finally {
    connection?.close()
  }
}

function exchangeOf({ env, req }: Context<Env>): Exchange {
  const { incoming, outgoing, isOwnServer } = env ?? {}
  return {
    node: incoming && outgoing && { request: incoming, response: outgoing as ServerResponse, isHosted: !isOwnServer },
    get signal() {
      return req.raw.signal
    },
  }
}

/** The response to a GET, without starting a run or waiting. */
async function answerHead(route: Route, request: RouteInput): Promise<RouteResponse> {
  if (!isStart(route, request.lastEventId)) return route.handle({ ...request, signal: AbortSignal.abort() })
  return request.wantsJson ? { status: 202, json: {} } : { status: 200, text: '', headers: eventStreamHeaders }
}

type Streamed = { deliver: unknown } | { stream: unknown } | { deliverRun: unknown }

function answer(context: Context<Env>, result: Exclude<RouteResponse, Streamed>): Response {
  context.header('cache-control', 'no-store')
  if ('text' in result) {
    const headers = { 'content-type': 'application/json', ...result.headers }
    return context.body(result.text, result.status as 200, headers)
  }
  if ('bytes' in result) {
    const isHead = context.req.method === 'HEAD'
    return context.body((isHead ? null : result.bytes) as null, result.status as 200, result.headers)
  }
  if (result.json === undefined) return context.body(null, result.status as 204)
  return context.body(encodeJson(result.json), result.status as 200, { 'content-type': 'application/json' })
}

export function errorResponse(error: MillraceError, asked: Asked, own: Partial<FaceError> = {}): Response {
  const { status, headers, body } = formatError(error, asked)
  return new Response(own.body ?? body, { status: own.status ?? status, headers: { ...headers, ...own.headers } })
}

async function readRequest(
  context: Context<Env>,
  route: Route,
  { access, limits }: Pick<AppOptions, 'access' | 'limits'>,
  connect: RouteInput['connect'],
  onBody: (bytes: number) => void,
): Promise<RouteInput> {
  const { req } = context
  const caller = context.get('caller') ?? identifyNobody(context, access.findClient)
  route.allow?.(caller)
  if (route.body !== undefined) limits.requireBody(caller.address, declaredBytes(req.header('content-length')))
  const input = {
    ...(route.params && check(route.params, req.param())),
    ...(route.query && check(route.query, readQuery(route.query, req.queries()))),
    ...(route.body &&
      check(route.body, await readJson(req.raw, { ...bodyOf(context), onBody, takesAnyType: route.takesAnyType }))),
  }
  // An EventSource sends an empty id after the server has reset it.
  const lastEventId = req.header('last-event-id') || (input.lastEventId as string | undefined)
  if (isStart(route, lastEventId)) checkStart(headerOf(context), req.url)
  return {
    input,
    caller,
    get signal() {
      return req.raw.signal
    },
    lastEventId,
    isHead: req.method === 'HEAD',
    wantsJson: wantsJson(req.header('accept') ?? ''),
    openBody() {
      if (route.takesItsTime && context.env?.incoming !== undefined) letArrive(context.env.incoming)
      return req.raw.body
    },
    connect,
  }
}

/** Of a body that does not say how long it is: as many as it may have. */
function declaredBytes(length: string | undefined): number {
  return Math.min(length === undefined ? sizes.bodyBytesMax : Number(length) || 0, sizes.bodyBytesMax)
}

/** A GET that starts a run: of a route that may respond 202, and not of a reader that reconnects. */
function isStart({ method, answers }: Route, lastEventId: string | undefined): boolean {
  return method === 'get' && 202 in answers && lastEventId === undefined
}

/** Only a list may be repeated; the schema of any other field rejects an array. */
function readQuery(schema: z.ZodObject, queries: Record<string, string[]>): Record<string, string | string[]> {
  const isList = (name: string) => schema.shape[name] instanceof z.ZodDefault && schema.shape[name].unwrap() instanceof z.ZodArray
  return Object.fromEntries(
    Object.entries(queries).map(([name, values]) => [name, values.length > 1 || isList(name) ? values : (values[0] as string)]),
  )
}

/** `hostBody` is an empty object where a host such as Express has read the body, and there was none. */
function bodyOf({ env }: Context<Env>): Pick<BodyOptions, 'hostBody' | 'isNode'> {
  const incoming = env?.incoming as { body?: unknown } | undefined
  return { hostBody: incoming?.body, isNode: incoming !== undefined }
}

function headerOf({ req }: Context<Env>): ReadHeader {
  return (name) => req.header(name)
}

/** A browser that opens JSON or a stream as a page MUST NOT render its text as HTML. */
async function forbidSniffing(context: Context<Env>, next: () => Promise<void>): Promise<void> {
  await next()
  context.res.headers.set('x-content-type-options', 'nosniff')
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
