/**
 * Adapts LangChain's agents and LangGraph's graphs: they ask their models and execute their tools themselves, and what they
 * say and do comes through, calls and results included. As LangChain's models, they bring their own package.
 */
import type { Model, ModelPart, ModelRequest } from '../model.ts'
import { addUsage, callsOf, type LangChainChunk, partsOf } from './chunks.ts'
import { type AnswerEnd, usageOf } from './end.ts'
import { toMillraceError } from './errors.ts'
import { type LangChainMessage, toLangChainMessages } from './messages.ts'
import { ToolCalls } from './tool-calls.ts'

/** The used part of a compiled graph, and of an agent. */
export interface LangChainGraph {
  readonly name?: string | undefined
  stream(
    input: { readonly messages: LangChainMessage[] },
    options: { readonly streamMode: 'messages'; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<unknown>>
}

/** A message in a stream of messages: a model's, whole or in chunks, or a tool's. */
interface GraphMessage extends LangChainChunk {
  readonly id?: string | undefined
  readonly tool_call_id?: string | undefined
  readonly status?: string | undefined
  _getType(): string
}

export function isLangChainGraph(value: object): value is LangChainGraph {
  const graph: unknown = 'graph' in value ? value.graph : value
  return 'stream' in value && typeof graph === 'object' && graph !== null && 'lg_is_pregel' in graph
}

/** @param name The name for requests. */
export function fromLangChainGraph(graph: LangChainGraph, name = graph.name ?? 'agent'): Model {
  return { name, stream: (request) => readGraph(graph, request, name) }
}

async function* readGraph(graph: LangChainGraph, { messages, signal }: ModelRequest, name: string): AsyncGenerator<ModelPart> {
  const end: AnswerEnd = {}
  try {
    const stream = await graph.stream(
      { messages: await toLangChainMessages(messages, signal) },
      { streamMode: 'messages', signal },
    )
    yield* readMessages(stream, end)
  } catch (error) {
    if (!signal.aborted) throw toMillraceError(error, name)
  }
  if (signal.aborted) return
  yield* usageOf(end.usage)
  yield { finishReason: 'stop' }
}

async function* readMessages(stream: AsyncIterable<unknown>, end: AnswerEnd): AsyncGenerator<ModelPart> {
  const calls = new ToolCalls('model')
  let current: string | undefined
  for await (const item of stream) {
    const message = (Array.isArray(item) ? item[0] : item) as GraphMessage
    const type = message._getType()
    if (message.id !== current || type !== 'ai') yield* calls.end()
    current = message.id
    if (type === 'tool' && message.tool_call_id !== undefined)
      yield {
        toolResult: {
          call: message.tool_call_id,
          value: toValue(message.content),
          ...(message.status === 'error' && { isError: true }),
        },
      }
    if (type !== 'ai') continue
    yield* partsOf(message)
    yield* callsOf(message, calls)
    end.usage = addUsage(end.usage, message.usage_metadata)
  }
  yield* calls.end()
}

/** A tool's result is text, most often of JSON. */
function toValue(content: unknown) {
  if (typeof content !== 'string') return JSON.parse(JSON.stringify(content ?? null))
  try {
    return JSON.parse(content)
  } catch {
    return content
  }
}
