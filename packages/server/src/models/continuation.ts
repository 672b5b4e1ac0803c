/**
 * The conversation for a model that continues an answer: the question, the text so far, and a request to continue. For
 * models that repeat themselves exactly, and need no request in words, also the inverse: the question and the text of
 * such a conversation.
 */
import type { ModelMessage, ModelPart } from './model.ts'

/**
 * The user's message after the partial answer. Most providers reject a partial answer as the last message, which some
 * would continue: the last message must be the user's. In English, which every model understands; it names the answer's
 * language, because the request would otherwise change it.
 */
export const continueQuery =
  'Your answer above was cut off. Continue it exactly where it stopped, in the same language, beginning with the very next characters, even in the middle of a word. Repeat nothing of it, and add no introduction, apology or comment.'

/** What follows the question. Without any text there is nothing to continue: the question is asked again. */
export function continuation(said: string): ModelMessage[] {
  return said === ''
    ? []
    : [
        { role: 'assistant', text: said },
        { role: 'user', text: continueQuery },
      ]
}

/** The question, and the text of its answer so far; '' if it is not to be continued. */
export function readContinuation(messages: readonly ModelMessage[]): { readonly question: string; readonly said: string } {
  const [question, said, last] = messages.slice(-3)
  if (last?.text === continueQuery && said?.role === 'assistant') return { question: question?.text ?? '', said: said.text }
  return { question: messages.at(-1)?.text ?? '', said: '' }
}

/** The rest of an answer that a model repeats from its start; all of it if it does not start with `said`. */
export function* withoutSaid(parts: Iterable<ModelPart>, said: string): Generator<ModelPart> {
  let left = said
  for (const part of parts) {
    if (left === '') {
      yield part
      continue
    }
    const text = typeof part === 'string' ? part : 'text' in part ? part.text : undefined
    if (text !== undefined && text !== '') {
      const common = text.startsWith(left) ? left.length : left.startsWith(text) ? text.length : 0
      // Another answer than the one that was cut: half of it is better than nothing.
      left = common === 0 ? '' : left.slice(common)
      if (common < text.length) yield text.slice(common)
    }
  }
}
