/** What the page asks of the server through its client. An answer is a value, never an exception. */
import type { Client, MillraceError } from '@millrace/client'
import { type ErrorCode, errors } from '@millrace/protocol'
import type { Answer, Question } from './api.ts'

export interface Commands {
  /** One attempt: the page's own outbox shows what waits, and lets it be taken back. */
  readonly startRun: (question: Question) => Promise<Answer>
  /** Tried until it is answered, like the next. */
  readonly resumeRun: (session: string, run: string, id: string) => Promise<Answer>
  readonly stopRun: (session: string, run: string) => Promise<Answer>
}

export function createCommands(client: Client): Commands {
  return {
    startRun: ({ session, id, query, models }) =>
      // None chosen, because the list could not be read: the server knows its default.
      toAnswer(client.session(session).run({ id, query, isRetried: false, ...(models.length > 0 && { models }) })),
    resumeRun: (session, run, id) => toAnswer(client.session(session).resume(run, { id })),
    stopRun: (session, run) => toAnswer(client.session(session).stop(run)),
  }
}

async function toAnswer(answer: Promise<unknown>): Promise<Answer> {
  try {
    return { kind: 'done', body: await answer }
  } catch (cause) {
    const { code, message, retryable, status = 0 } = cause as MillraceError
    // The server is about to go away; another one, or itself, will answer in a moment.
    if (retryable && (!(code in errors) || code === 'server_stopping')) return { kind: 'unreachable' }
    const known = code in errors ? (code as ErrorCode) : 'internal'
    return { kind: 'refused', status, error: { code: known, message, retryable } }
  }
}
