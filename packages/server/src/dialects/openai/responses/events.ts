/** A run as the events of the Responses API. They are numbered one by one, so every reader gets the same ones. */
import { encodeJson, type MillraceError, type SessionEvents } from '@millrace/protocol'
import type { Frame, Renderer, RunDialect, RunEvent } from '../../run-dialect.ts'
import { openAiError } from '../errors.ts'
import type { RunName } from '../ids.ts'
import { type ResponseEnd, type ResponseStart, responseBody, statusOf } from './body.ts'
import { ResponseLane } from './lane.ts'
import { type Emit, ResponseOutput } from './output.ts'

export function createResponsesDialect(view: RunName): RunDialect {
  const key = `openai responses ${view.session} ${view.run}`
  return { key, merges: false, hasIds: true, begin: () => new ResponseEvents(view), fail }
}

class ResponseEvents implements Renderer {
  readonly #view: RunName
  readonly #lanes = new Map<string, ResponseLane>()
  readonly #output = new ResponseOutput((type, fields) => this.#emit(type, fields))
  #start: ResponseStart | undefined
  #sequence = 0
  #frames: Frame[] = []

  constructor(view: RunName) {
    this.#view = view
  }

  render(event: RunEvent): readonly Frame[] {
    const { type, data, time } = event
    if (type === 'stream_start') this.#begin(data, time)
    else if (type === 'stream_end') this.#finish(data)
    else if ('lane' in data) this.#lanes.get(data.lane)?.take(event)
    return this.#take()
  }

  #begin({ lanes, continues, ...asked }: SessionEvents['stream_start'], startedAt: number): void {
    this.#start = { ...this.#view, model: lanes[0]?.model ?? '', asked, continues, startedAt }
    const tools = new Set(asked.tools?.map(({ name }) => name))
    for (const [index, { lane }] of lanes.entries())
      this.#lanes.set(lane, new ResponseLane({ name: this.#view, index, tools, output: this.#output }))
    const response = this.#body({ status: 'streaming' })
    this.#emit('response.created', { response })
    this.#emit('response.in_progress', { response })
  }

  #finish(end: SessionEvents['stream_end']): void {
    for (const lane of this.#lanes.values()) lane.end(end.status)
    const { status } = statusOf(end)
    this.#emit(`response.${status === 'cancelled' ? 'incomplete' : status}`, { response: this.#body(end) })
  }

  #body(end: ResponseEnd): object {
    return this.#start === undefined ? {} : responseBody(this.#start, end, this.#output.items)
  }

  readonly #emit: Emit = (type, fields) => {
    this.#frames.push({ event: type, data: encodeJson({ type, sequence_number: this.#sequence++, ...fields }) })
  }

  #take(): readonly Frame[] {
    const frames = this.#frames
    this.#frames = []
    return frames
  }
}

function fail(error: MillraceError): readonly Frame[] {
  return [{ event: 'error', data: encodeJson({ ...openAiError(error), type: 'error' }) }]
}
