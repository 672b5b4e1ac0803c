/** CORS on every host: the headers are set before a request is handled, so that streams and rejections have them too. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { Cors } from '../access/cors.ts'

/** Whether an address is of the API, or of a face. */
export type IsApi = (path: string) => boolean

/** Sets the headers on a response of Node, before its own. */
export function allowOrigin(
  cors: Cors | undefined,
  isApi: IsApi,
  { url = '', headers }: IncomingMessage,
  response: ServerResponse,
): void {
  if (cors === undefined || !isApi(url)) return
  const { vary, ...rest } = cors.headersFor(headers.origin)
  for (const [name, value] of Object.entries(rest)) response.setHeader(name, value)
  // A host may have set it for reasons of its own.
  if (vary !== undefined) response.appendHeader('vary', vary)
}

/** The same for a web-standard response. */
export function withOrigin(cors: Cors | undefined, isApi: IsApi, { url, headers }: Request, response: Response): Response {
  if (cors === undefined || !isApi(new URL(url).pathname)) return response
  const fields = Object.entries(cors.headersFor(headers.get('origin') ?? undefined))
  for (const [name, value] of fields) response.headers.append(name, value)
  return response
}

/** Middleware before credentials are looked at: a preflight has none. */
export function answerPreflight(cors: Cors) {
  return async ({ req }: Context, next: () => Promise<void>): Promise<Response | undefined> => {
    const headers = cors.preflightFor(req.method, (name) => req.header(name))
    if (headers !== undefined) return new Response(null, { status: 204, headers: { ...headers } })
    await next()
    return undefined
  }
}
