/** The application behind the interfaces of its hosts: Node's request listener, middleware, and web-standard `fetch`. */
import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server'
import { MillraceError } from '@millrace/protocol'
import type { Cors } from '../access/cors.ts'
import { createHostRule, headerOf } from '../access/host-names.ts'
import { type App, errorResponse } from './app.ts'
import { allowOrigin, withOrigin } from './cross-origin.ts'
import { sendError, toMillraceError } from './error-response.ts'
import { type Face, formatAt, isBelow } from './face.ts'
import { createUpgradeListener, pathOf, type Sockets, type Upgrade } from './upgrade.ts'

export interface HandlersOptions {
  readonly app: App
  readonly sockets: Sockets
  readonly cors: Cors | undefined
  readonly faces: readonly Face[]
  readonly hostNames: readonly string[]
  /** Folder of the page that the application serves, and with it every path. */
  readonly page: string | undefined
  readonly onError: (error: unknown) => void
}

/** A request handler for `node:http`, Express and Fastify's raw requests; calls `next` for paths that are not Millrace's. */
export type Handler = (request: IncomingMessage, response: ServerResponse, next?: () => void) => void

export type RespondError = (request: IncomingMessage, response: ServerResponse, error: MillraceError) => void

export interface HostHandlers {
  /** For our own HTTP server, after `prepare`. Without the check of the host name: `listen` makes a stricter one. */
  readonly handle: RequestListener
  /** Sets the headers that rejections have too. */
  readonly prepare: RequestListener
  /** Responds to a request that is rejected before it reaches the application, in the form of its address. */
  readonly respondError: RespondError
  readonly handler: Handler
  readonly upgrade: Upgrade
  readonly fetch: (request: Request) => Promise<Response>
  /** Resolves when the responses that are in progress now are written; a stream is not one of them once it has begun. */
  readonly settleResponses: () => Promise<unknown>
}

/** Paths of Millrace, with those of its faces; all others belong to the host, or to the page. `/metrics` is most often the host's. */
const ownPath = /^\/(api\/|(healthz|readyz|ws\/chat)\/?(\?|$)|docs\/errors)/

export function createHandlers({ app, sockets, cors, faces, hostNames, page, onError }: HandlersOptions): HostHandlers {
  const prefixes = faces.map(({ prefix }) => prefix)
  const isApi = (path: string) => path.startsWith('/api/') || isBelow(prefixes, path)
  const isOwn = (url: string) => ownPath.test(url) || isBelow(prefixes, url)
  const checkHost = createHostRule({ names: hostNames })
  const inProgress = new Set<Promise<unknown>>()
  const note = <T>(response: Promise<T>): Promise<T> => {
    const settled = response.catch(() => {}).finally(() => inProgress.delete(settled))
    inProgress.add(settled)
    return response
  }
  const listen = (isOwnServer: boolean): RequestListener => {
    const listener = getRequestListener((request, env) => app.fetch(request, { ...(env as HttpBindings), isOwnServer }), {
      overrideGlobalObjects: false,
      // For requests that fail before they reach the app, which answers its own errors.
      errorHandler: (error) =>
        errorResponse(error instanceof RequestError ? new MillraceError('malformed_http') : toMillraceError(error, onError), {}),
    })
    return (request, response) => void note(listener(request, response).then(() => untilWritten(response)))
  }
  const handleHosted = listen(false)
  const prepare: RequestListener = (request, response) => allowOrigin(cors, isApi, request, response)

  const respondError: RespondError = (request, response, error) =>
    sendError(request, response, error, formatAt(faces, pathOf(request), error))

  return {
    handle: listen(true),
    prepare,
    respondError,
    handler(request, response, next) {
      if (next !== undefined && page === undefined && !isOwn(request.url ?? '')) return next()
      prepare(request, response)
      const error = checkHost(headerOf(request))
      if (error === undefined) handleHosted(request, response)
      else respondError(request, response, error)
    },
    upgrade: createUpgradeListener({ ...sockets, check: (request) => checkHost(headerOf(request)) }),
    async fetch(request) {
      const { headers, method, url } = request
      const error = checkHost((name) => headers.get(name) ?? (name === 'host' ? new URL(url).host : undefined))
      const response =
        error === undefined
          ? await note(Promise.resolve(app.fetch(request, {})))
          : errorResponse(error, { method }, formatAt(faces, new URL(url).pathname, error))
      return withOrigin(cors, isApi, request, response)
    },
    settleResponses: () => Promise.all(inProgress),
  }
}

/** The system has taken it, or its client has left. The socket of a stream, which has not ended, is no longer the response's. */
async function untilWritten(response: ServerResponse): Promise<void> {
  if (response.writableEnded && !response.writableFinished && !response.destroyed) await once(response, 'close')
}
