/**
 * Where a question is in the conversation of the session: what its client has posted before it says that. Answers are known by
 * their ids, which begin with that of their run. A history that the client has edited is followed as far as it is that of the
 * session, and what comes after is asked with the question, so that an edit is a branch.
 */
import type { Message } from '@millrace/protocol'
import type { Exchange } from '../../sessions/conversation.ts'
import { messageKey } from '../shared/message-key.ts'
import { type ClientMessage, type Posted, textOf } from './input.ts'

export interface Place {
  /** The run that the question follows; null for none, undefined for the newest. */
  readonly parent: string | null | undefined
  /** What was said that no run before has. */
  readonly earlier: readonly Message[]
}

/** `exchanges`: of the session, before this question. */
export function placeOf({ history, questions }: Posted, exchanges: readonly Exchange[]): Place {
  let question: ClientMessage | undefined
  let before: Exchange | undefined
  let end = 0
  for (const [index, message] of history.entries()) {
    if (message.role === 'user') question = message
    const exchange = message.role === 'user' ? undefined : findAnswer(message, exchanges)
    if (exchange === undefined) continue
    if (exchange !== before) {
      // The client may have only the end of the conversation, but of that all.
      const isNext = before === undefined || exchange.parent === before.runs[0]
      if (!isNext || isEdited(question, exchange))
        return { parent: parentOf(before, exchange), earlier: saidIn(history.slice(end)) }
    }
    before = exchange
    end = index + 1
  }
  const earlier = saidIn(history.slice(end))
  if (before !== undefined) return { parent: before.runs[0], earlier }
  if (earlier.length > 0) return { parent: exchanges.length === 0 ? undefined : null, earlier }
  return { parent: placeOfFirst(questions, exchanges), earlier }
}

/** An edited question follows what it followed. Without a history, any other one is another question of a client that keeps none. */
function placeOfFirst([first, ...more]: readonly ClientMessage[], exchanges: readonly Exchange[]): Place['parent'] {
  const same = exchanges.findLast((exchange) => first?.id && exchange.metadata?.[messageKey] === first.id)
  if (same === undefined) return undefined
  const isAnswered = [...same.lanes.values()].some(({ text }) => text !== '')
  const isOther = isEdited(first, same) || (more.length > 0 && isAnswered)
  return isOther ? (same.parent ?? null) : undefined
}

function parentOf(before: Exchange | undefined, { parent = null }: Exchange): string | null {
  return before?.runs[0] ?? parent
}

function isEdited(question: ClientMessage | undefined, { metadata, query }: Exchange): boolean {
  return question?.id !== undefined && metadata?.[messageKey] === question.id && textOf(question) !== query
}

/** The id of a run may begin with that of another. */
function findAnswer({ id = '' }: ClientMessage, exchanges: readonly Exchange[]): Exchange | undefined {
  let found: { readonly run: string; readonly exchange: Exchange } | undefined
  for (const exchange of exchanges)
    for (const run of exchange.runs)
      if ((id === run || id.startsWith(`${run}-`)) && run.length > (found?.run.length ?? 0)) found = { run, exchange }
  return found?.exchange
}

/** Of calls, results and thoughts no later model needs more than what was said. */
function saidIn(messages: readonly ClientMessage[]): Message[] {
  return messages.flatMap(({ role, content }): Message[] => {
    const text = textOf({ content })
    return (role === 'user' || role === 'assistant') && text !== '' ? [{ role, content: text }] : []
  })
}
