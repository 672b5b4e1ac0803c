/** The response object of the Responses API. */
import type { Asked, EndStatus, FinishReason, Params, PublicError, Usage } from '@millrace/protocol'
import { interruptedMessage } from '../errors.ts'
import { formatId, type RunName } from '../ids.ts'
import { responseUsage } from '../usage.ts'
import { itemsOf, type RecordedLane, type ShownItem } from './items.ts'

export interface ResponseStart extends RunName {
  readonly model: string
  readonly asked: Asked
  readonly continues?: string | undefined
  /** Milliseconds since 1970. */
  readonly startedAt: number
}

export interface ResponseEnd {
  readonly status: 'streaming' | EndStatus
  readonly finishReason?: FinishReason | undefined
  readonly usage?: Usage | undefined
  readonly error?: PublicError | undefined
}

/** A run as it is recorded. */
export interface RecordedRun extends ResponseEnd, Asked {
  readonly run: string
  readonly continues?: string
  readonly startedAt: number
  readonly lanes: readonly (RecordedLane & { readonly model: string })[]
}

/** The body of a response that is read and not streamed, also of one that is in progress. */
export function responseOf(session: string, record: RecordedRun): object {
  const { run, continues, startedAt, lanes } = record
  const start = { session, run, model: lanes[0]?.model ?? '', asked: record, continues, startedAt }
  return responseBody(start, record, outputOf(session, record))
}

export function outputOf(session: string, { run, continues, tools, lanes }: RecordedRun): readonly ShownItem[] {
  const names = new Set(tools?.map(({ name }) => name))
  const of = { name: { session, run }, tools: names, isContinued: continues !== undefined }
  return lanes.flatMap((lane, index) => itemsOf(lane, { ...of, index }))
}

export function responseBody(start: ResponseStart, end: ResponseEnd, output: readonly object[]): object {
  const { session, run, model, asked, continues, startedAt } = start
  const { instructions = null, metadata = {}, params = {}, tools = [] } = asked
  const previous = continues ?? asked.parent
  return {
    id: formatId('resp', start),
    object: 'response',
    created_at: Math.floor(startedAt / 1000),
    ...statusOf(end),
    model,
    output,
    conversation: { id: `conv_${session}` },
    previous_response_id: typeof previous === 'string' ? formatId('resp', { session, run: previous }) : null,
    instructions,
    metadata,
    tools: tools.map(({ name, description = null, input = {} }) => ({
      type: 'function',
      name,
      description,
      parameters: input,
      strict: false,
    })),
    parallel_tool_calls: true,
    ...paramsOf(params),
    store: true,
    usage: end.usage === undefined ? null : responseUsage(end.usage),
    millrace: { session, run, status: end.status },
  }
}

function paramsOf({ temperature, topP, maxOutputTokens, reasoningEffort, responseFormat, toolChoice }: Params): object {
  return {
    tool_choice: typeof toolChoice === 'object' ? { type: 'function', name: toolChoice.tool } : (toolChoice ?? 'auto'),
    temperature: temperature ?? null,
    top_p: topP ?? null,
    max_output_tokens: maxOutputTokens ?? null,
    reasoning: { effort: reasoningEffort ?? null, summary: null },
    text: { format: formatOf(responseFormat) },
  }
}

function formatOf(format: Params['responseFormat']): object {
  if (format?.type === 'json') return { type: 'json_object' }
  if (format?.type !== 'json_schema') return { type: 'text' }
  const { name = 'answer', schema, strict = true } = format
  return { type: 'json_schema', name, schema, strict }
}

/** The name of the last event of a response, and what it says of the end. */
export function statusOf({ status, finishReason, error }: ResponseEnd) {
  const nothing = { error: null, incomplete_details: null }
  if (status === 'streaming') return { status: 'in_progress', ...nothing }
  if (status === 'failed' || status === 'interrupted') return { status: 'failed', ...nothing, error: errorOf(error) }
  // There is no event of its own for a cancelled response: its last one is `response.incomplete`.
  if (status === 'stopped') return { status: 'cancelled', ...nothing }
  const reason = finishReason === 'length' ? 'max_output_tokens' : finishReason === 'content_filter' ? finishReason : undefined
  if (reason === undefined || status === 'waiting') return { status: 'completed', ...nothing }
  return { status: 'incomplete', ...nothing, incomplete_details: { reason } }
}

/** Clients know only these codes. `@ai-sdk/openai` reads no failed response whose error has no type. */
function errorOf(error: PublicError | undefined): object {
  const message = error?.message ?? interruptedMessage
  const codes = { model_rate_limited: 'rate_limit_exceeded', model_rejected: 'invalid_prompt' } as const
  const code = codes[error?.code as keyof typeof codes] ?? 'server_error'
  return { code, message, type: code, param: null }
}
