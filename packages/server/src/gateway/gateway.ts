/** What requests and handshakes reach: the routes and the WebSocket, before the parts that they call. */
import type { WebSocketTransport } from '../transports/transport.ts'
import { type AdminRoutesOptions, createAdminRoutes } from './admin/routes.ts'
import { type AppOptions, createApp } from './app.ts'
import type { CreateFace, FaceContext } from './face.ts'
import { createHandlers, type HandlersOptions, type HostHandlers } from './handlers.ts'
import type { Handlers } from './listen.ts'
import { createRateCheck } from './request-rate.ts'
import { createRoutes, type RoutesOptions } from './routes.ts'
import { createStops } from './stops.ts'
import { createSockets } from './websocket.ts'

export interface GatewayOptions
  extends Omit<RoutesOptions & AdminRoutesOptions, 'stops' | keyof AppOptions>,
    Omit<AppOptions, 'routes' | 'faces'>,
    Pick<HandlersOptions, 'hostNames'>,
    Pick<FaceContext, 'clientWebhooks' | 'hasAuthentication' | 'signal'> {
  readonly webSocket: WebSocketTransport
  readonly faces: readonly CreateFace[]
}

export interface Gateway extends Pick<HostHandlers, 'settleResponses'> {
  /** For a server of the application's own. */
  readonly host: Pick<HostHandlers, 'handler' | 'fetch' | 'upgrade'>
  /** For a server of ours. */
  readonly own: Handlers
}

export function createGateway({ webSocket, faces: createFaces, ...options }: GatewayOptions): Gateway {
  const { access, limits } = options
  const requests = { ...options, stops: createStops(options) }
  const faces = createFaces.flatMap((create) => create(requests))
  const app = createApp({ ...options, faces, routes: [...createRoutes(requests), ...createAdminRoutes(requests)] })
  const sockets = createSockets(webSocket, requests, faces)
  const handlers = createHandlers({ ...options, faces, app, sockets, cors: access.cors })
  const { handle, prepare, respondError, settleResponses, ...host } = handlers
  const checkRate = createRateCheck(
    access,
    limits,
    faces.map(({ prefix }) => prefix),
  )
  return { host, own: { handle, prepare, respondError, sockets, limits, checkRate }, settleResponses }
}
