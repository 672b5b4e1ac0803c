/**
 * Durable Streams, https://github.com/durable-streams/durable-streams, under `/ds/`: sessions, runs and channels to read, and
 * streams that clients write. See docs/decisions/0043.
 */
import type { CreateFace, Face, FaceContext } from '../../gateway/face.ts'
import { createLogRoutes } from './log-routes.ts'
import { sharedHeaders } from './respond.ts'
import { createStreamStore, type StreamStore } from './store.ts'
import { createStreamRoutes, referenceRoot } from './stream-routes.ts'
import { createSubscriptionRoutes } from './subscriptions/routes.ts'
import { createSubscriptions, type Subscriptions } from './subscriptions/subscriptions.ts'

/** Shorter than proxies wait for a byte, most often 60 seconds: a client asks again at once. */
const waits = { pollMs: 15_000, sseMs: 55_000 }
const roots = ['/ds/streams/', referenceRoot]

export const createDurableStreams: CreateFace = (context) => {
  const shared = { ...context, waits, now: Date.now, random: Math.random }
  const store = createStreamStore(context.engine, Date.now)
  const subscriptions = startSubscriptions(context, store)
  const streams: Face = {
    prefix: '/ds',
    routes: [
      ...createLogRoutes(shared),
      ...roots.flatMap((root) => createStreamRoutes({ ...shared, root, store, subscriptions })),
    ],
    formatError: ({ message }) => ({ body: message, headers: { ...sharedHeaders, 'content-type': 'text/plain; charset=utf-8' } }),
  }
  const { clientWebhooks: webhooks } = context
  if (subscriptions === undefined || webhooks === undefined) return streams
  // Before the streams, whose names may begin with anything else.
  const faces = roots.map((root): Face => {
    const routes = createSubscriptionRoutes({ ...context, subscriptions, root, webhooks, now: Date.now })
    const formatError: Face['formatError'] = ({ code, message }) => ({
      body: JSON.stringify({ error: { code: code.toUpperCase(), message } }),
    })
    return { prefix: `${root}__ds`, routes, formatError }
  })
  return [...faces, streams]
}

/** Undefined where the operator has not switched them on. */
function startSubscriptions({ clientWebhooks, ...context }: FaceContext, store: StreamStore): Subscriptions | undefined {
  if (clientWebhooks === undefined) return undefined
  const { send } = clientWebhooks
  return createSubscriptions({ ...context, store, send, now: Date.now, random: Math.random })
}
