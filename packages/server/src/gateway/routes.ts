/** All routes of the HTTP API. `server.ts` adds those of further dialects to them. */
import { MillraceError } from '@millrace/protocol'
import { type ChatRoutesOptions, createChatRoutes } from './chat-routes.ts'
import { type ConnectionRoutesOptions, createConnectionRoutes } from './connection-routes.ts'
import { createDecisionRoutes, type DecisionContext } from './decisions.ts'
import { createDoctorRoutes, type DoctorRoutesOptions } from './doctor-routes.ts'
import { createFileRoutes, type FileRoutesOptions } from './file-routes.ts'
import { createHealthRoutes, type HealthRoutesOptions } from './health-routes.ts'
import { createProducerRoutes, type ProducerRoutesOptions } from './producer-routes.ts'
import { createQueueRoutes } from './queue-routes.ts'
import type { QueueContext } from './queueing.ts'
import type { Route } from './route.ts'
import { createServerRoutes, type ServerRoutesOptions } from './server-routes.ts'
import { createSessionRoutes, type SessionRoutesOptions } from './session-routes.ts'
import { createShareRoutes, type ShareRoutesOptions } from './share-routes.ts'
import { createStreamRoutes, type StreamRoutesOptions } from './stream-routes.ts'
import { createTicketRoutes, type TicketRoutesOptions } from './ticket-routes.ts'

export type RoutesOptions = ChatRoutesOptions &
  DecisionContext &
  ProducerRoutesOptions &
  StreamRoutesOptions &
  SessionRoutesOptions &
  FileRoutesOptions &
  QueueContext &
  ShareRoutesOptions &
  ServerRoutesOptions &
  HealthRoutesOptions &
  TicketRoutesOptions &
  ConnectionRoutesOptions &
  DoctorRoutesOptions

export function createRoutes(options: RoutesOptions): Route[] {
  return [
    ...createChatRoutes(options),
    ...createDecisionRoutes(options),
    ...createProducerRoutes(options),
    ...createStreamRoutes(options),
    ...createSessionRoutes(options),
    ...createFileRoutes(options),
    ...createQueueRoutes(options),
    ...createShareRoutes(options),
    ...createServerRoutes(options),
    ...createHealthRoutes(options),
    ...createTicketRoutes(options),
    ...createConnectionRoutes(options),
    ...createDoctorRoutes(options),
    upgradeRoute,
  ]
}

/** A plain request to the address of the WebSocket. Its handshake needs credentials. */
const upgradeRoute: Route = {
  method: 'get',
  path: '/ws/chat',
  isPublic: true,
  acceptsTicket: true,
  summary: 'The WebSocket, which a handshake opens: PROTOCOL.md, WebSocket',
  answers: {},
  handle: () => Promise.reject(new MillraceError('upgrade_required')),
}
