/** All routes of the HTTP API. `server.ts` adds those of further dialects to them. */
import { MillraceError } from '@millrace/protocol'
import { createDecisionRoutes, type DecisionContext } from './decisions.ts'
import type { QueueContext } from './queueing.ts'
import type { Route } from './route.ts'
import { type ChatRoutesOptions, createChatRoutes } from './routes/chat-routes.ts'
import { type ConnectionRoutesOptions, createConnectionRoutes } from './routes/connection-routes.ts'
import { createDoctorRoutes, type DoctorRoutesOptions } from './routes/doctor-routes.ts'
import { createFileRoutes, type FileRoutesOptions } from './routes/file-routes.ts'
import { createHealthRoutes, type HealthRoutesOptions } from './routes/health-routes.ts'
import { createProducerRoutes, type ProducerRoutesOptions } from './routes/producer-routes.ts'
import { createQueueRoutes } from './routes/queue-routes.ts'
import { createServerRoutes, type ServerRoutesOptions } from './routes/server-routes.ts'
import { createSessionRoutes, type SessionRoutesOptions } from './routes/session-routes.ts'
import { createShareRoutes, type ShareRoutesOptions } from './routes/share-routes.ts'
import { createStreamRoutes, type StreamRoutesOptions } from './routes/stream-routes.ts'
import { createTicketRoutes, type TicketRoutesOptions } from './routes/ticket-routes.ts'

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
