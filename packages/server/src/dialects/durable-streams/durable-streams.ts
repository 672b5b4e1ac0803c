/**
 * Durable Streams, https://github.com/durable-streams/durable-streams, under `/ds/`: sessions, runs and channels to read, and
 * streams that clients write. See docs/decisions/0043.
 */
import type { CreateFace } from '../../gateway/face.ts'
import { createLogRoutes } from './log-routes.ts'
import { sharedHeaders } from './respond.ts'
import { createStreamRoutes } from './stream-routes.ts'

/** Shorter than proxies wait for a byte, most often 60 seconds: a client asks again at once. */
const waits = { pollMs: 15_000, sseMs: 55_000 }

export const createDurableStreams: CreateFace = (context) => {
  const shared = { ...context, waits, now: Date.now, random: Math.random }
  return {
    prefix: '/ds',
    routes: [...createLogRoutes(shared), ...createStreamRoutes(shared)],
    formatError: ({ message }) => ({ body: message, headers: { ...sharedHeaders, 'content-type': 'text/plain; charset=utf-8' } }),
  }
}
