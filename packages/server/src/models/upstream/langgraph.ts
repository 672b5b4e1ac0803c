/** A LangGraph server as a model: each question is a run without a thread, with the conversation that Millrace has. */
import type { Json } from '@millrace/protocol'
import { type AnswerEnd, usageOf } from '../langchain/end.ts'
import { type GraphItem, type GraphMessage, readMessages } from '../langchain/graph.ts'
import { toLangChainMessages } from '../langchain/messages.ts'
import type { Model, ModelPart, ModelRequest } from '../model.ts'
import { broken, cutOff, parseData, parseJson, requestEvents, type UpstreamOptions } from './request.ts'

export interface LangGraphUpstreamOptions extends UpstreamOptions {
  /** The graph or assistant that is asked: its name or id. */
  readonly assistant: string
  /** What the state has beside `messages`. */
  readonly input?: Readonly<Record<string, Json>> | undefined
  readonly config?: Readonly<Record<string, Json>> | undefined
}

/** It executes its own tools, which are only shown. */
export function langGraphUpstream(options: LangGraphUpstreamOptions): Model {
  const { name, url, headers, beginMsMax, assistant, input, config } = options
  return { name, stream: (request) => ask(request) }

  async function* ask({ messages, signal }: ModelRequest): AsyncGenerator<ModelPart> {
    const body = {
      assistant_id: assistant,
      input: { ...input, messages: await toLangChainMessages(messages, signal) },
      ...(config && { config }),
      stream_mode: ['messages-tuple', 'custom'],
      // A run that nobody reads costs as much.
      on_disconnect: 'cancel',
    }
    const end: AnswerEnd = {}
    const address = `${url.replace(/\/+$/, '')}/runs/stream`
    const events = requestEvents({ name, url: address, headers, beginMsMax, body, signal })
    yield* readMessages(itemsOf(events, name, signal), end)
    if (signal.aborted) return
    yield* usageOf(end.usage)
    yield { finishReason: 'stop' }
  }
}

/** Its frames as a graph in this process yields them. */
async function* itemsOf(events: ReturnType<typeof requestEvents>, name: string, signal: AbortSignal): AsyncGenerator<GraphItem> {
  for await (const { event, data } of events) {
    // Of a subgraph: `messages|agent:…`.
    const [kind] = event.split('|', 1)
    if (kind === 'end') return
    if (kind === 'error') throw broken(name, 'sent an error; what it had said is kept.', data)
    if (kind === 'custom') yield ['custom', parseJson(data, name)]
    else if (kind === 'messages') {
      const [message] = Object.values(parseData(data, name))
      if (typeof message === 'object' && message !== null) yield ['messages', [toMessage(message as Serialized)]]
    }
  }
  if (!signal.aborted) throw broken(name, cutOff)
}

type Serialized = Omit<GraphMessage, '_getType'> & { readonly type?: string }

/** Without the getters of LangChain's classes. */
function toMessage(message: Serialized): GraphMessage {
  const { type = '', content } = message
  const contentBlocks = Array.isArray(content) ? (content as { readonly type: string }[]) : []
  return { ...message, contentBlocks, _getType: () => type.replace(/MessageChunk$/, '').toLowerCase() }
}
