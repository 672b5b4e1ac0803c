/**
 * Writes the events of one lane. Its parts are numbered in the order in which they begin, and each piece of text says which
 * part it belongs to, so that a reader that starts anywhere knows; the pieces of the first part say nothing.
 */
import type { SessionEvents, SessionEventType, ToolExecutor, Usage } from '@millrace/protocol'
import type { ModelToolCall } from '../models/model.ts'
import { createCallIds } from './call-ids.ts'
import type { CheckedPart } from './part.ts'
import { createWholeText } from './whole-text.ts'
import type { RunWriter } from './writer.ts'

export interface LaneWriterOptions {
  readonly run: string
  readonly lane: string
  readonly writer: Pick<RunWriter, 'write' | 'writeFile'>
  /** Ids of calls that the run, or one that it continues, has already. */
  readonly usedCalls: Set<string>
}

/** Of a part that is neither usage nor a finish reason. */
export type ContentPart = Exclude<CheckedPart, { readonly usage: unknown } | { readonly finishReason: unknown }>

type LaneData<T extends SessionEventType> = Omit<SessionEvents[T], 'run' | 'lane'>

export class LaneWriter {
  readonly #options: LaneWriterOptions
  readonly #texts = { message: createWholeText(), reasoning: createWholeText() }
  readonly #calls: ReturnType<typeof createCallIds>
  #part = -1
  /** The kind of text that the last part consists of. */
  #kind: 'message' | 'reasoning' | undefined

  constructor(options: LaneWriterOptions) {
    this.#options = options
    this.#calls = createCallIds(options.usedCalls)
  }

  /** `executorOf`: who executes a call. */
  write(part: ContentPart, executorOf: (call: ModelToolCall) => ToolExecutor): void {
    if ('text' in part) this.#writeText(this.#texts.message.push(part.text))
    else if ('reasoning' in part) this.#writeReasoning(this.#texts.reasoning.push(part.reasoning))
    else {
      this.flush()
      if ('data' in part) this.#writePart('data', part.data)
      else if ('file' in part) this.#writeFile(part.file)
      else if ('source' in part) this.#writePart('source', part.source)
      else this.#writeToolPart(part, executorOf)
    }
  }

  /** Writes what was kept back as half a character. */
  flush(): void {
    this.#writeText(this.#texts.message.end())
    this.#writeReasoning(this.#texts.reasoning.end())
  }

  endStep(step: number, usage: Usage, finishReason: SessionEvents['step_end']['finishReason']): void {
    this.flush()
    this.#writePart('step_end', { step, ...(finishReason && { finishReason }), usage })
  }

  /** An event that begins no part. */
  event<T extends SessionEventType>(type: T, data: LaneData<T>): void {
    const { run, lane, writer } = this.#options
    writer.write(type, { run, lane, ...data } as unknown as SessionEvents[T])
  }

  /** A call that a run goes on with. */
  repeatCall(call: LaneData<'tool_call'>): void {
    this.#writePart('tool_call', { ...call, isRepeated: true })
  }

  /** The id of a call of the model; undefined where there is none. */
  callOf(id: string): string | undefined {
    return this.#calls.find(id)
  }

  #writePart<T extends SessionEventType>(type: T, data: LaneData<T>): void {
    this.#part += 1
    this.#kind = undefined
    this.event(type, data)
  }

  // Both write an object as small as it can be: this is the way of every token. The text is last, so that an engine that
  // stores what differs from the event before stores only the text.
  #writeText(pieces: readonly string[]): void {
    const { run, lane, writer } = this.#options
    for (const text of pieces) {
      const part = this.#partOf('message')
      writer.write('message', part === 0 ? { run, lane, text } : { run, lane, part, text })
    }
  }

  #writeReasoning(pieces: readonly string[]): void {
    const { run, lane, writer } = this.#options
    for (const reasoning of pieces) {
      const part = this.#partOf('reasoning')
      writer.write('reasoning', part === 0 ? { run, lane, reasoning } : { run, lane, part, reasoning })
    }
  }

  #partOf(kind: 'message' | 'reasoning'): number {
    if (this.#kind !== kind) {
      this.#kind = kind
      this.#part += 1
    }
    return this.#part
  }

  #writeFile({ bytes, ...file }: Extract<ContentPart, { readonly file: unknown }>['file']): void {
    const { run, lane, writer } = this.#options
    this.#part += 1
    this.#kind = undefined
    writer.writeFile({ run, lane, ...file, size: bytes.length }, bytes as Uint8Array<ArrayBuffer>)
  }

  #writeToolPart(part: ContentPart, executorOf: (call: ModelToolCall) => ToolExecutor): void {
    if ('toolCallStart' in part) {
      const { id, name } = part.toolCallStart
      this.#writePart('tool_call_start', { call: this.#calls.begin(id), name })
    } else if ('toolCallDelta' in part) {
      const { id, arguments: piece } = part.toolCallDelta
      const call = this.#calls.find(id)
      if (call !== undefined && piece !== '') this.event('tool_call_delta', { call, arguments: piece })
    } else if ('toolCall' in part) {
      const { id, name, arguments: given } = part.toolCall
      const { call, isNew } = this.#calls.complete(id)
      const data = { call, name, arguments: given, by: executorOf(part.toolCall) }
      if (isNew) this.#writePart('tool_call', data)
      else this.event('tool_call', data)
    } else if ('toolResult' in part) {
      const { call: id, ...result } = part.toolResult
      const call = this.#calls.find(id)
      if (call !== undefined) this.event('tool_result', { call, ...result })
    }
  }
}
