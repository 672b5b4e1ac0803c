/** A server of the AI SDK as a model: what `pipeUIMessageStreamToResponse` and `toUIMessageStreamResponse` send. */
import type { FinishReason, Json } from '@millrace/protocol'
import type { Model, ModelMessage, ModelPart, ModelRequest } from '../model.ts'
import { broken, cutOff, parseData, requestEvents, type UpstreamOptions } from './request.ts'

export interface AiSdkUpstreamOptions extends UpstreamOptions {
  /** Further members of the body of each request, beside `id`, `messages`, `trigger` and `instructions`. */
  readonly body?: Readonly<Record<string, Json>> | undefined
}

type Fields = Readonly<Record<string, unknown>>

const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  'content-filter': 'content_filter',
  'tool-calls': 'tool_calls',
}

/** It executes its own tools, which are only shown. */
export function aiSdkUpstream({ name, url, headers, beginMsMax, body }: AiSdkUpstreamOptions): Model {
  return { name, stream: (request) => ask(request) }

  async function* ask({ messages, signal }: ModelRequest): AsyncGenerator<ModelPart> {
    // `streamText` rejects messages of the system: a server that wants these instructions takes them from the body.
    const instructions = messages.flatMap(({ role, text }) => (role === 'system' ? [text] : [])).join('\n\n')
    const asked = {
      ...body,
      id: crypto.randomUUID(),
      messages: toUiMessages(messages.filter(({ role }) => role !== 'system')),
      trigger: 'submit-message',
      ...(instructions !== '' && { instructions }),
    }
    for await (const { data } of requestEvents({ name, url, headers, beginMsMax, body: asked, signal })) {
      if (data === '[DONE]') continue
      const chunk = parseData(data, name)
      // Its text is for the operator only.
      if (chunk.type === 'error') throw broken(name, 'sent an error; what it had said is kept.', chunk.errorText)
      if (chunk.type === 'abort') throw broken(name, 'broke off its answer; what it had said is kept.')
      yield* partsOf(chunk)
      if (chunk.type === 'finish') return
    }
    if (!signal.aborted) throw broken(name, cutOff)
  }
}

function* partsOf(chunk: Fields): Generator<ModelPart> {
  const {
    type,
    toolCallId: id,
    toolName: name,
  } = chunk as { readonly type: string; readonly toolCallId: string; toolName: string }
  yield* usageOf(chunk.messageMetadata)
  if (type === 'text-delta') yield { text: chunk.delta as string }
  else if (type === 'reasoning-delta') yield { reasoning: chunk.delta as string }
  else if (type === 'tool-input-start') yield { toolCallStart: { id, name } }
  else if (type === 'tool-input-delta') yield { toolCallDelta: { id, arguments: chunk.inputTextDelta as string } }
  else if (type === 'tool-input-available') yield { toolCall: { id, name, arguments: asJson(chunk.input, {}), by: 'model' } }
  else if (type === 'tool-input-error') {
    yield { toolCall: { id, name, arguments: asJson(chunk.input, {}), by: 'model' } }
    yield { toolResult: { call: id, value: asJson(chunk.errorText), isError: true } }
  } else if (type === 'tool-output-available')
    yield { toolResult: { call: id, value: asJson(chunk.output), ...(chunk.preliminary === true && { preliminary: true }) } }
  else if (type === 'tool-output-error') yield { toolResult: { call: id, value: asJson(chunk.errorText), isError: true } }
  else if (type === 'tool-output-denied') yield { toolResult: { call: id, value: 'denied', isError: true } }
  else if (type === 'source-url' || type === 'source-document') yield { source: sourceOf(chunk) }
  else if (type === 'file') yield fileOf(chunk)
  else if (type?.startsWith('data-')) yield { data: { name: type.slice('data-'.length), value: asJson(chunk.data) } }
  else if (type === 'finish' && chunk.finishReason !== undefined)
    yield { finishReason: finishReasons[chunk.finishReason as string] ?? 'other' }
}

/** By the custom of the AI SDK's examples; its protocol has no field for it. */
function* usageOf(metadata: unknown): Generator<ModelPart> {
  const found = (metadata as Fields | undefined)?.usage ?? (metadata as Fields | undefined)?.totalUsage
  const { inputTokens, outputTokens, totalTokens, reasoningTokens, cachedInputTokens } = (found ?? {}) as Readonly<
    Record<string, number | undefined>
  >
  if (typeof inputTokens !== 'number' || typeof outputTokens !== 'number') return
  const total = totalTokens ?? inputTokens + outputTokens
  const parts = {
    ...(reasoningTokens !== undefined && { reasoningTokens }),
    ...(cachedInputTokens !== undefined && { cachedInputTokens }),
  }
  yield { usage: { inputTokens, outputTokens, totalTokens: total, ...parts } }
}

function sourceOf(chunk: Fields) {
  const { sourceId: source, url, title, mediaType } = chunk as Readonly<Record<string, string | undefined>>
  return {
    source: source ?? '',
    ...(url !== undefined && { url }),
    ...(title !== undefined && { title }),
    ...(mediaType !== undefined && { mediaType }),
  }
}

/** Bytes within the address; any other address is shown as what it is. */
function fileOf({ url, mediaType }: Fields): ModelPart {
  const bytes = /^data:[^,]*;base64,(.*)$/s.exec(url as string)?.[1]
  if (bytes === undefined) return { data: { name: 'file', value: asJson({ url, mediaType }) } }
  return { file: { mediaType: mediaType as string, bytes: Buffer.from(bytes, 'base64') } }
}

function asJson(value: unknown, otherwise: Json = null): Json {
  return (value ?? otherwise) as Json
}

interface UiMessage {
  readonly id: string
  readonly role: Exclude<ModelMessage['role'], 'tool'>
  readonly parts: Record<string, unknown>[]
}

/** Results of tools are in the message that has their calls; what is said after them is another step of it. */
function toUiMessages(messages: readonly ModelMessage[]): UiMessage[] {
  const all: UiMessage[] = []
  for (const [index, { role, text, parts = [{ type: 'text', text } as const] }] of messages.entries()) {
    const last = all.at(-1)
    if (role === 'tool') for (const part of parts) addResult(last, part)
    else {
      const said = parts.flatMap((part): Record<string, unknown>[] => {
        if (part.type === 'text') return [{ type: 'text', text: part.text }]
        if (part.type !== 'tool_call') return []
        return [
          { type: 'dynamic-tool', toolName: part.name, toolCallId: part.id, state: 'input-available', input: part.arguments },
        ]
      })
      if (role === 'assistant' && last?.role === 'assistant') last.parts.push({ type: 'step-start' }, ...said)
      else all.push({ id: `m${index}`, role, parts: said })
    }
  }
  return all
}

function addResult(message: UiMessage | undefined, part: NonNullable<ModelMessage['parts']>[number]): void {
  if (part.type !== 'tool_result') return
  const call = message?.parts.find(({ toolCallId }) => toolCallId === part.call)
  if (call === undefined) return
  Object.assign(
    call,
    part.isError
      ? { state: 'output-error', errorText: typeof part.value === 'string' ? part.value : JSON.stringify(part.value) }
      : { state: 'output-available', output: part.value },
  )
}
