/** A run as the body of a chat completion that is not streamed. */
import type { LaneEnd, PublicError, RunEnd, ToolPart, Usage } from '@millrace/protocol'
import { jsonText } from '../../shared/json-text.ts'
import { formatId } from '../ids.ts'
import { isOfClient, type RecordedLane } from '../responses/items.ts'
import { completionUsage } from '../usage.ts'
import { finishReasonOf } from './finish-reason.ts'

interface CompletedLane extends RecordedLane, Partial<Pick<LaneEnd, 'finishReason'>> {
  readonly model: string
  readonly text: string
  readonly reasoning: string
}

export interface CompletedRun {
  readonly run: string
  readonly startedAt: number
  readonly status: 'streaming' | RunEnd['status']
  readonly usage?: Usage
  readonly error?: PublicError
  readonly tools?: readonly { readonly name: string }[] | undefined
  readonly lanes: readonly CompletedLane[]
}

export function completionOf(session: string, { run, startedAt, usage, tools, lanes }: CompletedRun): object {
  const names = new Set(tools?.map(({ name }) => name))
  return {
    id: formatId('chatcmpl', { session, run }),
    object: 'chat.completion',
    created: Math.floor(startedAt / 1000),
    model: lanes[0]?.model ?? '',
    choices: lanes.map((lane, index) => choiceOf(lane, index, names)),
    ...(usage && { usage: completionUsage(usage) }),
  }
}

function choiceOf({ status, finishReason, text, reasoning, parts }: CompletedLane, index: number, tools: ReadonlySet<string>) {
  const calls = parts.filter((part): part is ToolPart => part.type === 'tool' && isOfClient(part.by, part.name, tools))
  const message = {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls.map(toolCallOf) }),
  }
  // Of a lane that goes on there is no reason yet.
  const reason = status === 'streaming' ? null : finishReasonOf({ status, finishReason }, calls.length > 0)
  const more = status === 'completed' || reason === 'tool_calls' ? {} : { millrace: { status } }
  return { index, message, finish_reason: reason, logprobs: null, ...more }
}

function toolCallOf({ call, name, arguments: given, argumentsText = '' }: ToolPart) {
  const text = given === undefined ? argumentsText : jsonText(given)
  return { id: call, type: 'function', function: { name, arguments: text } }
}
