/** Collects the calls of one message of a LangChain model from the pieces in which providers send them. */
import { randomUUID } from 'node:crypto'
import { parseArguments } from '../../tools/json.ts'
import type { ModelPart } from '../model.ts'

/** Of a chunk, or of a block of an event. `index` or `id` say which call it belongs to. */
export interface ToolCallPiece {
  readonly index?: unknown
  readonly id?: unknown
  readonly name?: unknown
  /** A text that follows the one before; of a whole call an object. */
  readonly args?: unknown
}

interface Collected {
  /** The provider's. */
  readonly givenId: unknown
  readonly id: string
  name: string
  text: string
  isBegun: boolean
}

export class ToolCalls {
  readonly #by: { readonly by?: 'model' }
  readonly #calls = new Map<unknown, Collected>()
  #last: unknown

  /** `by`: who executes them, where that is the model. */
  constructor(by?: 'model') {
    this.#by = by === undefined ? {} : { by }
  }

  *add({ index, id, name, args }: ToolCallPiece): Generator<ModelPart> {
    const key = index ?? id ?? this.#last
    const isNew = typeof id === 'string' && id !== '' && this.#calls.has(key) && this.#calls.get(key)?.givenId !== id
    // Some servers give every call the index 0.
    if (isNew) yield* this.#finish(key)
    this.#last = key
    const call = this.#calls.get(key) ?? { givenId: id, id: isText(id) ? id : randomUUID(), name: '', text: '', isBegun: false }
    this.#calls.set(key, call)
    if (isText(name) && !call.isBegun) call.name += name
    const piece = isText(args) ? args : typeof args === 'object' && args !== null ? JSON.stringify(args) : ''
    call.text += piece
    if (!call.isBegun) {
      if (call.name === '' || (piece === '' && !isText(name))) return
      call.isBegun = true
      yield { toolCallStart: { id: call.id, name: call.name } }
      if (call.text !== '') yield { toolCallDelta: { id: call.id, arguments: call.text } }
    } else if (piece !== '') yield { toolCallDelta: { id: call.id, arguments: piece } }
  }

  /** The whole calls of the message, which has ended. */
  *end(): Generator<ModelPart> {
    for (const key of this.#calls.keys()) yield* this.#finish(key)
  }

  *#finish(key: unknown): Generator<ModelPart> {
    const call = this.#calls.get(key)
    this.#calls.delete(key)
    if (call === undefined || call.name === '') return
    yield { toolCall: { id: call.id, name: call.name, arguments: parseArguments(call.text), ...this.#by } }
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
