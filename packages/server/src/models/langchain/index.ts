/**
 * Adapts LangChain's chat models: text, reasoning, usage, finish reason, and errors as codes. It imports nothing of
 * LangChain, which is an optional peer dependency: a model that the host passes brings its own.
 *
 * Reads typed events if the model produces them itself: only they separate reasoning for every provider. OpenAI's
 * Responses repeat it at the end of a stream of chunks, and what Ollama, vLLM and OpenRouter call `reasoning` is in no
 * chunk at all. Everything else is read by chunks. A token costs about 20 µs by events and twice that by chunks, nearly
 * all of it in the provider's package.
 */
import { MillraceError } from '@millrace/protocol'
import type { Model, ModelPart, ModelRequest } from '../model.ts'
import { bindTools } from './bind-tools.ts'
import type { CallOptions, LangChainModel } from './chat-model.ts'

import { type LangChainChunk, readChunks } from './chunks.ts'
import { type AnswerEnd, finishOf, usageOf } from './end.ts'
import { failureOf, failureOfReason, toMillraceError } from './errors.ts'
import { type LangChainEvent, readEvents } from './events.ts'
import { acceptedBy } from './files.ts'
import { type LangChainMessage, toLangChainMessages } from './messages.ts'
import { takenBy, withParams } from './params.ts'
import type { Fields } from './provider-chunk.ts'
import { watch } from './provider-fetch.ts'
import type { ProviderReport } from './provider-stream.ts'
import { readThinkTags } from './think-tags.ts'

interface EventModel extends LangChainModel {
  streamEvents(messages: LangChainMessage[], options: CallOptions): AsyncIterable<LangChainEvent>
}

export function isLangChainModel(value: object): value is LangChainModel {
  return '_llmType' in value && typeof value._llmType === 'function'
}

export type { LangChainModel } from './chat-model.ts'

export interface LangChainOptions {
  /** Whether `<think>…</think>` at the start of an answer is reasoning; default true. */
  readonly thinkTags?: boolean
  /** Media types of files that the model takes; default what is known of the model, or of its provider. */
  readonly accepts?: readonly string[]
}

/**
 * A chat model of LangChain as a model for `models`.
 * @param name The name for requests; default its own, such as `gpt-6-luna`.
 */
export function fromLangChain(
  chatModel: LangChainModel,
  name = nameOf(chatModel),
  { thinkTags = true, accepts = acceptedBy(chatModel) }: LangChainOptions = {},
): Model {
  return {
    name,
    takes: takenBy(chatModel),
    accepts,
    stream({ signal, ...request }) {
      const left = new AbortController()
      const either = AbortSignal.any([signal, left.signal])
      const read = readAnswer(chatModel, { ...request, signal: either }, name)
      const parts = thinkTags ? readThinkTags(read) : read
      return {
        [Symbol.asyncIterator]: () => ({
          next: () => parts.next(),
          // A generator cannot be closed while it waits for its next token, so the request must end first.
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
  given: LangChainModel,
  { messages, params = {}, tools, signal }: ModelRequest,
  name: string,
): AsyncGenerator<ModelPart> {
  checkKey(given, name)
  const { chatModel, options } = bindTools(given, tools)
  const conversation = await toLangChainMessages(messages, signal)
  const family = chatModel._llmType()
  const hasParams = Object.keys(params).length > 0
  const amend = hasParams ? (body: Fields, url: URL) => withParams(body, params, { url, family }) : undefined
  const report: ProviderReport = { isRead: false, isDone: false, hasContent: false }
  const end: AnswerEnd = {}
  try {
    if (makesEvents(chatModel)) {
      yield* readEvents(
        watch(chatModel, { report, signal, amend }, () => chatModel.streamEvents(conversation, { ...options, signal })),
        end,
      )
    } else yield* readChunks(watch(chatModel, { report, signal, amend }, chunks), end)
  } catch (error) {
    // A stream that was read here always ends without an error: the provider did not fail after its finish reason.
    const isWhole = !report.isRead && end.reason !== undefined
    if (!signal.aborted && !isWhole) throw failureOf(report, name) ?? toMillraceError(error, name)
  }
  // An abort makes the request throw; that is no failure of the provider, and is not reported.
  if (signal.aborted) return
  // Only now: a value before the end is too low, and would replace a better estimate when the run is stopped.
  yield* usageOf(end.usage)
  // Without the provider's reason, LangChain's would be invented.
  const reason = report.isRead ? (report.reason ?? (report.isDone ? 'unknown' : undefined)) : end.reason
  const failure = failureOf(report, name) ?? (reason === undefined ? undefined : failureOfReason(reason, name))
  if (failure !== undefined) throw failure
  yield* finishOf(reason, end.hasToolCalls)

  async function* chunks(): AsyncGenerator<LangChainChunk> {
    yield* await chatModel.stream(conversation, { ...options, signal })
  }
}

/** Node's error about an invalid header contains the key verbatim. */
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
 * LangChain derives events from chunks for a model that has none, but they are poorer: every answer ends with `stop`. A
 * model that does not stream has none, and callbacks and tracers get chunks only.
 */
function makesEvents(chatModel: LangChainModel): chatModel is EventModel {
  const { callbacks, disableStreaming } = chatModel as { callbacks?: unknown; disableStreaming?: unknown }
  const isWatched = (Array.isArray(callbacks) ? callbacks.length > 0 : callbacks !== undefined) || isTraced()
  return !isWatched && disableStreaming !== true && countOwners(chatModel, '_streamChatModelEvents') > 1
}

/** The number of definitions of a method in the prototype chain; the last one is the base class's. */
function countOwners(value: object | null, method: string): number {
  return value === null ? 0 : Number(Object.hasOwn(value, method)) + countOwners(Object.getPrototypeOf(value), method)
}

/** The variables that make LangChain trace. */
function isTraced(env: NodeJS.ProcessEnv = process.env): boolean {
  return ['LANGSMITH_TRACING', 'LANGSMITH_TRACING_V2', 'LANGCHAIN_TRACING', 'LANGCHAIN_TRACING_V2'].some(
    (key) => env[key] === 'true',
  )
}
