/** One line for each connection, when it has ended, and for each run. No line contains a token, a question or an answer. */
import type { Logger } from 'pino'
import type { Observer } from '../observer.ts'

export function createLogObserver(logger: Logger): Observer {
  return {
    connectionClosed({ id, transport, principal, address, logs }, { code, durationMs, events, bytes }) {
      const fields = { connection: id, transport, principal, address, logs, code, durationMs, events, bytes }
      // A client that polls makes a connection for each response.
      if (transport === 'poll') logger.debug(fields, 'connection closed')
      else logger.info(fields, 'connection closed')
    },
    sessionCreated: (session) => logger.debug(session, 'session created'),
    runStarted: ({ run, session, principal, lanes }) =>
      logger.debug({ run, session, principal, models: lanes.map(({ model }) => model) }, 'run started'),
    runEnded({ run, session, principal, lanes }, { status, usage, timings, error }) {
      const { inputTokens, outputTokens, reasoningTokens } = usage
      const fields = {
        run,
        session,
        principal,
        models: lanes.map(({ model }) => model),
        status,
        code: error?.code,
        inputTokens,
        outputTokens,
        reasoningTokens,
        firstTokenMs: timings.firstTokenMs,
        durationMs: timings.durationMs,
      }
      logger[status === 'failed' ? 'warn' : 'info'](fields, 'run ended')
    },
    fileUploaded: ({ session, by, mediaType, size, durationMs }) =>
      logger.info({ session, by, mediaType, size, durationMs }, 'file uploaded'),
    limitHit: (hit) => logger.debug(hit, 'limit hit'),
    adminChanged: (change) => logger.info(change, 'admin change'),
  }
}
