/** Anthropic's Messages API: `/v1/messages`, streamed or not. */
import { encodeJson, MillraceError, type ToolPart } from '@millrace/protocol'
import type { Caller } from '../../access/caller.ts'
import { prepareAsk } from '../../gateway/asking.ts'
import type { CreateFace, FaceContext } from '../../gateway/face.ts'
import type { RouteRequest, RouteResponse } from '../../gateway/route.ts'
import { startRun, streamStarted } from '../../gateway/run-streams.ts'
import type { Run } from '../../runs/run.ts'
import type { LaneRecord, RunRecord } from '../../sessions/transcript.ts'
import { bytesIn, checkMessages, prepareAskWith } from '../shared/asked-files.ts'
import { idOfName } from '../shared/id-of-name.ts'
import { Retries } from '../shared/retries.ts'
import { readEnded } from '../shared/run-records.ts'
import { countTokens } from './counting.ts'
import { formatAnthropicError, interrupted } from './errors.ts'
import { anthropicDialect, messageOf } from './rendering.ts'
import { type CountBody, countBody, type MessagesBody, messagesBody, toAsk } from './request.ts'
import { stopReason, usageOf } from './stop-reason.ts'

export const createAnthropicFace: CreateFace = (context) => {
  const retries = new Retries(context)
  return {
    prefix: '/v1/messages',
    formatError: formatAnthropicError,
    routes: [
      {
        method: 'post',
        path: '/v1/messages',
        summary: "Ask as by Anthropic's Messages API",
        body: messagesBody,
        answers: { 200: 'stream' },
        handle: (request: RouteRequest<MessagesBody>) => create(context, request, retries),
      },
      {
        method: 'post',
        path: '/v1/messages/count_tokens',
        summary: "Estimate the tokens of a request of Anthropic's Messages API",
        body: countBody,
        answers: { 200: 'text' },
        handle: (request: RouteRequest<CountBody>) => count(context, request),
      },
    ],
  }
}

async function create(context: FaceContext, request: RouteRequest<MessagesBody>, retries: Retries): Promise<RouteResponse> {
  const { input, caller, signal } = request
  const start = await prepare(context, caller, toAsk(input), retries.runOf(caller, input))
  if (input.stream === true) {
    const describe = ({ id }: Run) => ({ form: 'sse', dialect: anthropicDialect, headers: { 'request-id': id } }) as const
    return streamStarted(context, request, { start, session: undefined }, describe)
  }
  const { run } = await startRun(context, request, start, undefined, false)
  const record = await readEnded(context, run, signal)
  if (record === undefined) return { status: 204 }
  return { status: 200, text: encodeJson(toMessage(record)), headers: { 'request-id': run.id } }
}

/** Starts nothing, for who may ask. */
async function count(context: FaceContext, { input, caller }: RouteRequest<CountBody>): Promise<RouteResponse> {
  const given = toAsk(input)
  await prepareAsk(context, caller, { ...given.ask, query: 'x' })
  await context.chats.check({ query: 'x', models: given.ask.models })
  return { status: 200, json: { input_tokens: countTokens(given), millrace: { estimated: true } } }
}

/** Every request has a limit of tokens, also for a model that takes none. */
async function prepare(
  context: FaceContext,
  caller: Caller,
  { ask, messages }: ReturnType<typeof toAsk>,
  id: string,
): Promise<() => Promise<Run>> {
  const { maxOutputTokens, ...params } = ask.params ?? {}
  // Before its model is looked for.
  await prepareAsk(context, caller, { ...ask, query: 'x' })
  const check = context.chats.check({ query: 'x', models: ask.models, params: { maxOutputTokens } })
  const takesLimit = await check.then(
    () => true,
    (error: unknown) => !(error instanceof MillraceError && error.code === 'param_not_supported'),
  )
  const input = { ...ask, id, params: takesLimit ? { ...params, maxOutputTokens } : params }
  if (bytesIn(messages).length === 0) return prepareAsk(context, caller, { ...input, messages: checkMessages(messages) })
  return prepareAskWith(context, caller, { ...input, session: idOfName(`message ${id}`) }, messages)
}

/** Rejects with the error of a run that has none but an error to answer. */
function toMessage({ run, status, finishReason, usage, error, lanes: [lane] }: RunRecord): object {
  if (status === 'failed' || status === 'interrupted') {
    const { code, message } = error ?? interrupted
    throw new MillraceError(code, { message })
  }
  const content = lane === undefined ? [] : lane.parts.flatMap(toBlock)
  const hasCalls = content.some((block) => 'input' in block)
  return {
    ...messageOf({ run, model: lane?.model ?? '' }),
    content,
    stop_reason: stopReason({ status: status as 'completed', ...(finishReason && { finishReason }) }, hasCalls),
    ...(usage && { usage: usageOf(usage) }),
  }
}

function toBlock(part: LaneRecord['parts'][number]): object[] {
  if (part.type === 'text') return [{ type: 'text', text: part.text, citations: null }]
  if (part.type === 'reasoning') return [{ type: 'thinking', thinking: part.text, signature: '' }]
  return part.type === 'tool' ? toCall(part) : []
}

function toCall({ call: id, name, by, arguments: input = {} }: ToolPart): object[] {
  return by === 'client' ? [{ type: 'tool_use', id, name, input }] : []
}
