/** One lane as output items: each is added, filled and finished, in the order in which its parts begin. */
import type { EndStatus, SessionEvent } from '@millrace/protocol'
import { formatItemId, type RunName } from '../ids.ts'
import { ResponseCalls } from './calls.ts'
import { contentOf, type ItemStatus, type SaidKind, saidItem } from './items.ts'
import type { ResponseOutput } from './output.ts'

export interface ResponseLaneOptions {
  readonly name: RunName
  readonly index: number
  /** Names of the tools that the client brought. */
  readonly tools: ReadonlySet<string>
  readonly output: ResponseOutput
}

interface Said {
  readonly kind: SaidKind
  readonly id: string
  readonly place: number
  text: string
}

const names = { message: 'output_text', reasoning: 'reasoning_text' } as const

export class ResponseLane {
  readonly #options: ResponseLaneOptions
  readonly #calls: ResponseCalls
  /** The text that is not finished. */
  #said: Said | undefined
  #count = 0
  #isEnded = false

  constructor(options: ResponseLaneOptions) {
    this.#options = options
    this.#calls = new ResponseCalls({ ...options, nextCount: () => this.#count++ })
  }

  take({ type, data }: SessionEvent): void {
    switch (type) {
      case 'message':
        return this.#say('message', data.text)
      case 'reasoning':
        return this.#say('reasoning', data.reasoning)
      case 'tool_call_start':
        this.#finishSaid('completed')
        return this.#calls.begin(data.call, data.name)
      case 'tool_call_delta':
        return this.#calls.argue(data.call, data.arguments)
      case 'tool_call':
        if (data.isRepeated || !this.#calls.has(data.call)) this.#finishSaid('completed')
        // The client has it from the run that this one continues, and has executed it.
        return data.isRepeated && data.by === 'client' ? undefined : this.#calls.complete(data)
      case 'tool_result':
        return this.#calls.result(data)
      case 'approval_request':
        return this.#calls.requestApproval(data)
      case 'lane_end':
        return this.end(data.status)
      // Parts of the answer that no item can express: a text after one is another text.
      case 'data':
      case 'file':
      case 'source':
      case 'step_end':
        return this.#finishSaid('completed')
      default:
    }
  }

  end(status: EndStatus): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#finishSaid(status === 'completed' || status === 'waiting' ? 'completed' : 'incomplete')
    this.#calls.end()
  }

  #say(kind: SaidKind, delta: string): void {
    const said = this.#said?.kind === kind ? this.#said : this.#beginSaid(kind)
    said.text += delta
    const more = kind === 'message' ? { delta, logprobs: [] } : { delta }
    this.#options.output.emit(`response.${names[kind]}.delta`, { ...contentAt(said), ...more })
  }

  #beginSaid(kind: SaidKind): Said {
    this.#finishSaid('completed')
    const { name, index, output } = this.#options
    const id = formatItemId(kind === 'message' ? 'msg' : 'rs', name, index, this.#count++)
    const said = { kind, id, place: output.add(saidItem(kind, id, [], 'in_progress')), text: '' }
    this.#said = said
    output.emit('response.content_part.added', { ...contentAt(said), part: contentOf(kind, '') })
    return said
  }

  #finishSaid(status: ItemStatus): void {
    if (this.#said === undefined) return
    const { output } = this.#options
    const { kind, id, place, text } = this.#said
    const at = contentAt(this.#said)
    this.#said = undefined
    const part = contentOf(kind, text)
    output.emit(`response.${names[kind]}.done`, kind === 'message' ? { ...at, text, logprobs: [] } : { ...at, text })
    output.emit('response.content_part.done', { ...at, part })
    output.finish(place, saidItem(kind, id, [part], status))
  }
}

function contentAt({ id, place }: Said): object {
  return { item_id: id, output_index: place, content_index: 0 }
}
