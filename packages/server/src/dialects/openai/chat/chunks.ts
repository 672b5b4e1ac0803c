/** A run as the chunks of Chat Completions: one choice for each lane. */
import { encodeJson, type MillraceError, type SessionEvents } from '@millrace/protocol'
import type { Frame, Renderer, RunDialect, RunEvent } from '../../run-dialect.ts'
import { jsonText } from '../../shared/json-text.ts'
import { type OpenAiError, openAiError, recordedError } from '../errors.ts'
import { formatId } from '../ids.ts'
import { completionUsage } from '../usage.ts'
import { type EndedLane, finishReasonOf } from './finish-reason.ts'

export interface ChatView {
  readonly session: string
  readonly run: string
  /** The last chunk says how many tokens were used. */
  readonly includeUsage: boolean
}

export function createChatDialect(view: ChatView): RunDialect {
  const { session, run, includeUsage } = view
  const key = `openai chat ${session} ${run} ${includeUsage}`
  return { key, merges: true, hasIds: true, begin: () => new ChatChunks(view), fail }
}

interface Choice {
  readonly index: number
  readonly model: string
  /** Calls that the client executes, in their order. `pieces`: some of its arguments were sent. */
  readonly calls: Map<string, { readonly index: number; pieces: boolean }>
  isEnded: boolean
}

const done: Frame = { data: '[DONE]' }

class ChatChunks implements Renderer {
  readonly #view: ChatView
  readonly #choices = new Map<string, Choice>()
  /** Names of the tools that the client brought. Of others the first event of a call does not say who executes it. */
  #tools = new Set<string>()
  #created = 0

  constructor(view: ChatView) {
    this.#view = view
  }

  render({ type, data, time }: RunEvent): readonly Frame[] {
    switch (type) {
      case 'stream_start':
        return this.#start(data, time)
      case 'message':
        return this.#delta(data.lane, { content: data.text })
      case 'reasoning':
        return this.#delta(data.lane, { reasoning_content: data.reasoning })
      case 'tool_call_start':
        return this.#tools.has(data.name) ? this.#call(data.lane, data.call, data.name, '') : []
      case 'tool_call_delta':
        return this.#arguments(data.lane, data.call, data.arguments)
      case 'tool_call':
        return this.#wholeCall(data)
      case 'lane_end':
        return this.#end(data.lane, data)
      case 'stream_end':
        return this.#finish(data)
      default:
        return []
    }
  }

  #start({ lanes, tools = [] }: SessionEvents['stream_start'], time: number): readonly Frame[] {
    this.#created = Math.floor(time / 1000)
    this.#tools = new Set(tools.map(({ name }) => name))
    for (const [index, { lane, model }] of lanes.entries())
      this.#choices.set(lane, { index, model, calls: new Map(), isEnded: false })
    return lanes.flatMap(({ lane }) => this.#delta(lane, { role: 'assistant', content: '' }))
  }

  #call(lane: string, call: string, name: string, given: string): readonly Frame[] {
    const calls = this.#choices.get(lane)?.calls
    if (calls === undefined || calls.has(call)) return []
    const index = calls.size
    calls.set(call, { index, pieces: given !== '' })
    return this.#delta(lane, { tool_calls: [{ index, id: call, type: 'function', function: { name, arguments: given } }] })
  }

  #arguments(lane: string, call: string, piece: string): readonly Frame[] {
    const known = this.#choices.get(lane)?.calls.get(call)
    if (known === undefined) return []
    known.pieces = true
    return this.#delta(lane, { tool_calls: [{ index: known.index, function: { arguments: piece } }] })
  }

  #wholeCall({ lane, call, name, arguments: given, by, isRepeated }: SessionEvents['tool_call']): readonly Frame[] {
    if (by !== 'client' || isRepeated) return []
    const known = this.#choices.get(lane)?.calls.get(call)
    const text = jsonText(given)
    if (known === undefined) return this.#call(lane, call, name, text)
    return known.pieces ? [] : this.#arguments(lane, call, text)
  }

  #end(lane: string, end: EndedLane): readonly Frame[] {
    const choice = this.#choices.get(lane)
    if (choice === undefined || choice.isEnded) return []
    choice.isEnded = true
    const { status } = end
    const reason = finishReasonOf(end, choice.calls.size > 0)
    // What the reason cannot say. Clients ignore fields that they do not know.
    const more = status === 'completed' || reason === 'tool_calls' ? {} : { millrace: { status } }
    return this.#delta(lane, {}, reason, more)
  }

  #finish(end: SessionEvents['stream_end']): readonly Frame[] {
    if (end.status === 'failed' || end.status === 'interrupted') return [failure(recordedError(end)), done]
    const ends = [...this.#choices.keys()].flatMap((lane) => this.#end(lane, end))
    if (!this.#view.includeUsage) return [...ends, done]
    const [first] = this.#choices.values()
    return [...ends, this.#chunk(first?.model ?? '', [], completionUsage(end.usage)), done]
  }

  #delta(lane: string, delta: object, finishReason: string | null = null, more: object = {}): readonly Frame[] {
    const choice = this.#choices.get(lane)
    if (choice === undefined) return []
    const { index, model } = choice
    return [this.#chunk(model, [{ index, delta, finish_reason: finishReason, logprobs: null, ...more }], null)]
  }

  #chunk(model: string, choices: readonly object[], usage: object | null): Frame {
    const { includeUsage } = this.#view
    const id = formatId('chatcmpl', this.#view)
    const chunk = { id, object: 'chat.completion.chunk', created: this.#created, model, choices }
    return { data: encodeJson(includeUsage ? { ...chunk, usage } : chunk) }
  }
}

function failure(error: OpenAiError): Frame {
  return { data: encodeJson({ error }) }
}

function fail(error: MillraceError): readonly Frame[] {
  return [failure(openAiError(error)), done]
}
