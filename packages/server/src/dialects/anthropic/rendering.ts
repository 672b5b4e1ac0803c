/**
 * A run as the stream of a message of Anthropic's API: blocks one after another, of its first lane. Of the tools that the
 * server executes only what the model said about them is there.
 */
import { encodeJson, type RunEnd, type SessionEvents } from '@millrace/protocol'
import type { Frame, Renderer, RunDialect, RunEvent } from '../run-dialect.ts'
import { jsonText } from '../shared/json-text.ts'
import { errorBody, interrupted } from './errors.ts'
import { stopReason, usageOf } from './stop-reason.ts'

export const anthropicDialect: RunDialect = {
  key: 'anthropic',
  merges: true,
  hasIds: false,
  begin: () => new AnthropicRenderer(),
  fail: (error) => [failure(error.toPublic())],
}

class AnthropicRenderer implements Renderer {
  #lane = ''
  /** Tools of the request, which the client executes. */
  #tools: ReadonlySet<string> = new Set()
  #blocks = 0
  /** What the open block is of: a kind of text, or a call. */
  #open: string | undefined
  #hasArguments = false
  #hasCalls = false

  render(event: RunEvent): readonly Frame[] {
    const { type, data } = event
    if (type === 'stream_start') return this.#begin(data)
    if (type === 'stream_end') return this.#end(data)
    return 'lane' in data && data.lane === this.#lane ? this.#partOf(event) : []
  }

  #partOf({ type, data }: RunEvent): readonly Frame[] {
    switch (type) {
      case 'message':
        return [...this.#enter('text', { type: 'text', text: '' }), this.#delta({ type: 'text_delta', text: data.text })]
      case 'reasoning': {
        const block = { type: 'thinking', thinking: '', signature: '' }
        return [...this.#enter('thinking', block), this.#delta({ type: 'thinking_delta', thinking: data.reasoning })]
      }
      case 'tool_call_start':
        return this.#tools.has(data.name) ? this.#enterCall(data.call, data.name) : []
      case 'tool_call_delta':
        return this.#open === `call ${data.call}` ? [this.#argumentsDelta(data.arguments)] : []
      case 'tool_call':
        return this.#call(data)
      case 'step_end':
        return this.#leave()
      default:
        return []
    }
  }

  #begin({ run, lanes, tools = [] }: SessionEvents['stream_start']): readonly Frame[] {
    this.#lane = lanes[0]?.lane ?? ''
    this.#tools = new Set(tools.map(({ name }) => name))
    return [frame('message_start', { message: messageOf({ run, model: lanes[0]?.model ?? '' }) })]
  }

  /** A call that did not arrive in pieces, or that another one has interrupted, is sent whole. */
  #call({ call, name, arguments: given, by }: SessionEvents['tool_call']): readonly Frame[] {
    if (by !== 'client') return []
    const isOpen = this.#open === `call ${call}`
    if (isOpen && this.#hasArguments) return this.#leave()
    const whole = jsonText(given)
    return [...(isOpen ? [] : this.#enterCall(call, name)), this.#argumentsDelta(whole), ...this.#leave()]
  }

  #enterCall(call: string, name: string): readonly Frame[] {
    this.#hasCalls = true
    this.#hasArguments = false
    return this.#enter(`call ${call}`, { type: 'tool_use', id: call, name, input: {} })
  }

  #enter(of: string, block: object): readonly Frame[] {
    if (this.#open === of) return []
    const before = this.#leave()
    this.#open = of
    return [...before, frame('content_block_start', { index: this.#blocks, content_block: block })]
  }

  #leave(): readonly Frame[] {
    if (this.#open === undefined) return []
    this.#open = undefined
    this.#blocks += 1
    return [frame('content_block_stop', { index: this.#blocks - 1 })]
  }

  #delta(delta: object): Frame {
    return frame('content_block_delta', { index: this.#blocks, delta })
  }

  #argumentsDelta(piece: string): Frame {
    this.#hasArguments = true
    return this.#delta({ type: 'input_json_delta', partial_json: piece })
  }

  #end(end: RunEnd): readonly Frame[] {
    const closed = this.#leave()
    if (end.status === 'failed' && end.error !== undefined) return [...closed, failure(end.error)]
    if (end.status === 'failed' || end.status === 'interrupted') return [...closed, failure(interrupted)]
    const delta = { stop_reason: stopReason(end, this.#hasCalls), stop_sequence: null }
    return [...closed, frame('message_delta', { delta, usage: usageOf(end.usage) }), frame('message_stop', {})]
  }
}

/** Of a run that has just begun, or that the rest is added to. */
export function messageOf({ run, model }: { readonly run: string; readonly model: string }): object {
  const usage = usageOf({ inputTokens: 0, outputTokens: 0 })
  return {
    id: `msg_${run}`,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  }
}

function frame(event: string, data: object): Frame {
  return { event, data: encodeJson({ type: event, ...data }) }
}

function failure(error: Parameters<typeof errorBody>[0]): Frame {
  return { event: 'error', data: encodeJson(errorBody(error)) }
}
