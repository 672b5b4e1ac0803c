/** The ids of the AI SDK's clients, which may be any text, and those of sessions and runs. */
import { hash } from 'node:crypto'
import { digestId } from '../shared/id-of-name.ts'
import type { Content } from './content.ts'

/** The id of the run that answers a message: sent again, the message attaches to it. `content`: of a message that was edited. */
export function runOfMessage(session: string, message: string, content: Content = []): string {
  const said = content.map((part) => ('bytes' in part ? hash('sha256', part.bytes) : JSON.stringify(part)))
  return digestId(['message', session, message, ...said])
}

const prefix = 'answer-'

/** The id of the message of an answer: of the first of its runs. */
export const answerId = (run: string) => `${prefix}${run}`

/** Undefined for a message that is no answer of this server. */
export function runOfAnswer(message: string): string | undefined {
  return message.startsWith(prefix) ? message.slice(prefix.length) : undefined
}

/** Of a run that continues others: `whole` with their parts of the answer, `own` for a reader that has these. */
export type Extent = 'whole' | 'own'

export interface NamedRun {
  readonly session: string
  readonly run: string
  readonly extent: Extent
}

/** The value of `x-workflow-run-id`. Its colons keep it apart from ids of sessions. */
export const formatRunId = ({ session, run, extent }: NamedRun) => `${extent}:${session}:${run}`

export function parseRunId(text: string): NamedRun | undefined {
  const [, extent, session, run] = /^(whole|own):([\w-]{1,64}):([\w-]{1,64})$/.exec(text) ?? []
  return session === undefined || run === undefined ? undefined : { session, run, extent: extent as Extent }
}
