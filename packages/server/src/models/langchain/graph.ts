/**
 * Adapts LangChain's agents and LangGraph's graphs: they ask their models and execute their tools themselves, and what they
 * say and do comes through, calls and results included. As LangChain's models, they bring their own package.
 */
import type { Json } from '@millrace/protocol'
import { parseJsonOrText } from '../../tools/json.ts'
import type { Model, ModelPart, ModelRequest } from '../model.ts'
import { addUsage, callsOf, type LangChainChunk, newParts } from './chunks.ts'
import { type AnswerEnd, usageOf } from './end.ts'
import { toMillraceError } from './errors.ts'
import { type LangChainMessage, toLangChainMessages } from './messages.ts'
import { asFields } from './provider-chunk.ts'
import { ToolCalls } from './tool-calls.ts'

/** A compiled graph, or an agent; what its state has beside `messages` has a default. */
export interface LangChainGraph {
  readonly name?: string | undefined
  // Each graph has types of its own for these.
  stream(input: never, options: never): Promise<AsyncIterable<unknown>>
}

/** What is used of it. */
type Stream = (
  input: { readonly messages: LangChainMessage[] },
  options: { readonly streamMode: readonly ['messages', 'custom']; readonly signal: AbortSignal },
) => Promise<AsyncIterable<GraphItem>>

export type GraphItem = readonly ['custom', unknown] | readonly ['messages', readonly [GraphMessage]]

/** A message in a stream of messages: a model's, whole or in chunks, or a tool's. */
export interface GraphMessage extends LangChainChunk {
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
    const stream = (graph.stream as Stream).bind(graph)
    const input = { messages: await toLangChainMessages(messages, signal) }
    yield* readMessages(await stream(input, { streamMode: ['messages', 'custom'], signal }), end)
  } catch (error) {
    if (!signal.aborted) throw toMillraceError(error, name)
  }
  if (signal.aborted) return
  yield* usageOf(end.usage)
  yield { finishReason: 'stop' }
}

export async function* readMessages(stream: AsyncIterable<GraphItem>, end: AnswerEnd): AsyncGenerator<ModelPart> {
  const calls = new ToolCalls('model')
  const cited = new Set<string>()
  let current: string | undefined
  for await (const item of stream) {
    if (item[0] === 'custom') {
      yield toData(item[1])
      continue
    }
    const [message] = item[1]
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
    yield* newParts(message, cited)
    yield* callsOf(message, calls)
    end.usage = addUsage(end.usage, message.usage_metadata)
  }
  yield* calls.end()
}

/** What a node or a tool writes with `config.writer`: any value, or one with a name of its own. */
function toData(written: unknown): ModelPart {
  const value = JSON.parse(JSON.stringify(written ?? null)) as Json
  const { name, value: named, ...more } = asFields(value)
  const isNamed = typeof name === 'string' && named !== undefined && Object.keys(more).length === 0
  return { data: isNamed ? { name, value: named as Json } : { name: 'custom', value } }
}

/** A tool's result is text, most often of JSON. */
function toValue(content: unknown) {
  return typeof content === 'string' ? parseJsonOrText(content) : JSON.parse(JSON.stringify(content ?? null))
}
