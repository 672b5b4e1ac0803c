/**
 * `builtin:guide`: answers from Millrace's own documents when no model is available. It is a search and not a language
 * model, says so in every answer, and needs no network.
 */
import { setTimeout } from 'node:timers/promises'
import { MillraceError } from '@millrace/protocol'
import { readContinuation, withoutSaid } from '../continuation.ts'
import type { Model, ModelInfo, ModelProvider } from '../model.ts'
import { answerFrom, introduce, isGreeting, languageOf } from './answer.ts'
import { type GuideDocument, readDocuments } from './documents.ts'
import { createGuideIndex, type GuideIndex, termsOf, words } from './search-index.ts'

export interface GuideOptions {
  /** Words a second; 0 is unlimited. Default 60. */
  readonly tps?: number
  /** Reads the documents, on the first question; default Millrace's. */
  readonly load?: () => Promise<readonly GuideDocument[]>
}

const info: ModelInfo = {
  name: 'builtin:guide',
  description: 'Built-in guide to Millrace, not a language model',
  languageModel: false,
  accepts: [],
}
const sectionsMax = 2

export function guideProvider({ tps = 60, load = readDocuments }: GuideOptions = {}): ModelProvider {
  let index: Promise<GuideIndex> | undefined
  const model: Model = {
    name: info.name,
    async *stream({ messages, signal }) {
      const { question, said: before } = readContinuation(messages)
      const tokens = [...withoutSaid(tokensOf(answer(await openIndex(), question)), before)]
      const startedAt = performance.now()
      for (const [said, token] of tokens.entries()) {
        const waitMs = tps === 0 ? 0 : startedAt + (said * 1000) / tps - performance.now()
        // Only an abort rejects, and it clears the timer.
        if (waitMs > 0) await setTimeout(waitMs, undefined, { signal }).catch(() => {})
        if (signal.aborted) return
        yield token
      }
      const inputTokens = words(question).length
      yield { usage: { inputTokens, outputTokens: tokens.length, totalTokens: inputTokens + tokens.length } }
      yield { finishReason: 'stop' }
    },
  }
  return {
    prefix: 'builtin',
    list: () => [info],
    open(name) {
      if (name === info.name) return model
      throw new MillraceError('model_not_found', { message: `There is no model ${name}; the only one built in is ${info.name}.` })
    },
  }

  function openIndex(): Promise<GuideIndex> {
    index ??= load()
      .then(createGuideIndex)
      .catch((error: unknown) => {
        // A disk error may be temporary.
        index = undefined
        throw error
      })
    return index
  }
}

function answer(index: GuideIndex, question: string): string {
  const language = languageOf(question)
  if (isGreeting(question)) return introduce(language, { greeted: true })
  const sections = index.find(question, language).slice(0, sectionsMax)
  if (sections.length === 0) return introduce(language, { greeted: false })
  const asked = new Set(termsOf(question))
  return answerFrom(sections, language, (row) => new Set(termsOf(row)).intersection(asked).size)
}

/** Words, each with the space and punctuation that follow it; joined they are the text. */
function tokensOf(text: string): string[] {
  const tokens: string[] = []
  for (const { segment, isWordLike } of new Intl.Segmenter('zh', { granularity: 'word' }).segment(text)) {
    if (isWordLike || tokens.length === 0) tokens.push(segment)
    else tokens[tokens.length - 1] += segment
  }
  return tokens
}
