/**
 * LangChain's chat models as Millrace's: text, reasoning, usage, finish reason, and errors as codes.
 * Nothing of LangChain is imported here: it is an optional peer, and a model handed in by code brings
 * its own.
 *
 * Read by typed events where the model makes them itself: they alone tell reasoning apart for every
 * provider. OpenAI's Responses repeat it at the end of a chunked stream, and what Ollama, vLLM and
 * OpenRouter call `reasoning` is in no chunk at all. Everything else is read by chunks. A
 * token costs about 20 µs by events and twice that by chunks, nearly all of it in the provider's own package.
 */
import { MillraceError } from '@millrace/protocol'
import { type LangChainChunk, readChunks } from './langchain-chunks.ts'
import { toMillraceError } from './langchain-errors.ts'
import { type LangChainEvent, readEvents } from './langchain-events.ts'
import type { Model, ModelMessage, ModelPart } from './model.ts'

/** What is needed of a LangChain chat model, whichever version it is of. */
export interface LangChainModel {
  _llmType(): string
  stream(messages: LangChainMessage[], options: { signal: AbortSignal }): Promise<AsyncIterable<LangChainChunk>>
}

/** A type, not an interface: LangChain's own wants an index, which only a type gives by itself. */
type LangChainMessage = { role: 'user' | 'assistant'; content: string }

interface EventModel extends LangChainModel {
  streamEvents(messages: LangChainMessage[], options: { signal: AbortSignal }): AsyncIterable<LangChainEvent>
}

export function isLangChainModel(value: object): value is LangChainModel {
  return '_llmType' in value && typeof value._llmType === 'function'
}

/** @param name How the model is asked for; default its own, such as `gpt-6-luna`. */
export function fromLangChain(chatModel: LangChainModel, name = nameOf(chatModel)): Model {
  return {
    name,
    stream({ messages, signal }) {
      const left = new AbortController()
      const either = AbortSignal.any([signal, left.signal])
      const parts = read(chatModel, messages, either, name)
      return {
        [Symbol.asyncIterator]: () => ({
          next: () => parts.next(),
          // A generator cannot be left while it waits for its next token, so the request has to end first.
          return() {
            left.abort()
            return parts.return(undefined)
          },
        }),
      }
    },
  }
}

async function* read(
  chatModel: LangChainModel,
  messages: readonly ModelMessage[],
  signal: AbortSignal,
  name: string,
): AsyncGenerator<ModelPart> {
  const conversation = messages.map(({ role, text }): LangChainMessage => ({ role, content: text }))
  let finished = false
  try {
    for await (const part of parts()) {
      finished ||= typeof part === 'object' && 'finishReason' in part
      yield part
    }
  } catch (error) {
    // What the abort of a request throws is no failure of the provider, and nothing to report.
    if (!signal.aborted) throw toMillraceError(error, name)
  }
  // OpenAI's protocol always says why it ended; a stream that just stops, or turns into something else, was cut.
  if (!finished && !signal.aborted && chatModel._llmType() === 'openai') throw new MillraceError('model_failed')

  async function* parts(): AsyncGenerator<ModelPart> {
    if (makesEvents(chatModel)) yield* readEvents(chatModel.streamEvents(conversation, { signal }))
    else yield* readChunks(await chatModel.stream(conversation, { signal }))
  }
}

function nameOf(chatModel: LangChainModel): string {
  const { model } = chatModel as { model?: unknown }
  return typeof model === 'string' && model !== '' ? model : chatModel._llmType()
}

/**
 * LangChain makes events of chunks for a model that makes none, but then they are poorer: every answer ends
 * with `stop`. A model that does not stream at all has none, and callbacks and tracers are told of chunks only.
 */
function makesEvents(chatModel: LangChainModel): chatModel is EventModel {
  const { callbacks, disableStreaming } = chatModel as { callbacks?: unknown; disableStreaming?: unknown }
  const isWatched = (Array.isArray(callbacks) ? callbacks.length > 0 : callbacks !== undefined) || isTraced()
  return !isWatched && disableStreaming !== true && countOwners(chatModel, '_streamChatModelEvents') > 1
}

/** How often a method is defined on the way up; the last one is the base class's. */
function countOwners(value: object | null, method: string): number {
  return value === null ? 0 : Number(Object.hasOwn(value, method)) + countOwners(Object.getPrototypeOf(value), method)
}

/** The variables by which LangChain itself decides whether to trace. */
function isTraced(env: NodeJS.ProcessEnv = process.env): boolean {
  return ['LANGSMITH_TRACING', 'LANGSMITH_TRACING_V2', 'LANGCHAIN_TRACING', 'LANGCHAIN_TRACING_V2'].some(
    (key) => env[key] === 'true',
  )
}
