/**
 * The conversation a model is given when it is to go on with an answer that ended before its time: the question,
 * what it had said, and the request to go on. For models that can be relied on to say the same again, and
 * are not to be asked in words, also the way back from such a conversation.
 */
import type { ModelMessage, ModelPart } from './model.ts'

/**
 * Said by the user after the partial answer. A partial answer at the end, which some providers take as the
 * beginning of their own, is refused by most: the last message has to be the user's. In English, which every model
 * understands; the language of the answer is said, because the request would otherwise change it.
 */
export const continueQuery =
  'Your answer above was cut off. Continue it exactly where it stopped, in the same language, beginning with the very next characters, even in the middle of a word. Repeat nothing of it, and add no introduction, apology or comment.'

/** What follows the conversation before. Where nothing had been said there is nothing to go on from: it is asked as at first. */
export function continuation(query: string, said: string): ModelMessage[] {
  const question: ModelMessage = { role: 'user', text: query }
  return said === '' ? [question] : [question, { role: 'assistant', text: said }, { role: 'user', text: continueQuery }]
}

/** The question that is to be answered, and what has been said of the answer: '' where it is not to be continued. */
export function readContinuation(messages: readonly ModelMessage[]): { readonly question: string; readonly said: string } {
  const [question, said, last] = messages.slice(-3)
  if (last?.text === continueQuery && said?.role === 'assistant') return { question: question?.text ?? '', said: said.text }
  return { question: messages.at(-1)?.text ?? '', said: '' }
}

/** What is left of an answer that a model says again from its beginning; all of it where `said` is not how it begins. */
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
      // Another answer than the one that was cut: half of it is of more use than none.
      left = common === 0 ? '' : left.slice(common)
      if (common < text.length) yield text.slice(common)
    }
  }
}
