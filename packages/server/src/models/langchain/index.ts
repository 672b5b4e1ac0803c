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
import type { Model, ModelMessage, ModelPart } from '../model.ts'
import { type LangChainChunk, readChunks } from './chunks.ts'
import { type AnswerEnd, finishOf, usageOf } from './end.ts'
import { failureOf, failureOfReason, toMillraceError } from './errors.ts'
import { type LangChainEvent, readEvents } from './events.ts'
import { watch } from './provider-fetch.ts'
import type { ProviderReport } from './provider-stream.ts'
import { readThinkTags } from './think-tags.ts'

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

export interface LangChainOptions {
  /** Whether `<think>…</think>` at the beginning of an answer is reasoning; default true. */
  readonly thinkTags?: boolean
}

/** @param name How the model is asked for; default its own, such as `gpt-6-luna`. */
export function fromLangChain(
  chatModel: LangChainModel,
  name = nameOf(chatModel),
  { thinkTags = true }: LangChainOptions = {},
): Model {
  return {
    name,
    stream({ messages, signal }) {
      const left = new AbortController()
      const either = AbortSignal.any([signal, left.signal])
      const read = readAnswer(chatModel, messages, either, name)
      const parts = thinkTags ? readThinkTags(read) : read
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

async function* readAnswer(
  chatModel: LangChainModel,
  messages: readonly ModelMessage[],
  signal: AbortSignal,
  name: string,
): AsyncGenerator<ModelPart> {
  checkKey(chatModel, name)
  const conversation = messages.map(({ role, text }): LangChainMessage => ({ role, content: text }))
  const report: ProviderReport = { isRead: false, isDone: false, hasContent: false }
  const end: AnswerEnd = {}
  try {
    if (makesEvents(chatModel)) {
      yield* readEvents(
        watch(chatModel, { report, signal }, () => chatModel.streamEvents(conversation, { signal })),
        end,
      )
    } else yield* readChunks(watch(chatModel, { report, signal }, chunks), end)
  } catch (error) {
    // A stream that was read here ends well in any case: then it is not the provider that failed after its finish reason.
    const isWhole = !report.isRead && end.reason !== undefined
    if (!signal.aborted && !isWhole) throw failureOf(report, name) ?? toMillraceError(error, name)
  }
  // What the abort of a request throws is no failure of the provider, and nothing to report.
  if (signal.aborted) return
  // Only now: what is known before the end is too little, and would replace an honest estimate when the run is stopped.
  yield* usageOf(end.usage)
  // Without a reason of the provider's, LangChain's would be made up.
  const reason = report.isRead ? (report.reason ?? (report.isDone ? 'unknown' : undefined)) : end.reason
  const failure = failureOf(report, name) ?? (reason === undefined ? undefined : failureOfReason(reason, name))
  if (failure !== undefined) throw failure
  yield* finishOf(reason, end.hasToolCalls)

  async function* chunks(): AsyncGenerator<LangChainChunk> {
    yield* await chatModel.stream(conversation, { signal })
  }
}

/** A key that cannot stand in a header would be in Node's error about it, word for word. */
function checkKey(chatModel: object, name: string): void {
  const { apiKey } = chatModel as { apiKey?: unknown }
  if (typeof apiKey !== 'string' || /^[\t\x20-\x7e\x80-\xff]*$/.test(apiKey.trim())) return
  const message = `The key for ${name} has a line end in it, or another character that no key has; check it on the server.`
  throw new MillraceError('model_unauthorized', { message })
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
