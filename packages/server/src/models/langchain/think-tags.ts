/**
 * Some models, such as DeepSeek R1 behind a server without a parser for it, write their reasoning into the text, between
 * `<think>` and `</think>` at its start. This turns it into reasoning, however deltas split the tags.
 */
import type { ModelPart } from '../model.ts'

const opening = '<think>'
const closing = '</think>'

/** Reads and yields parts in which text is a bare string. */
export async function* readThinkTags(parts: AsyncIterable<ModelPart>): AsyncGenerator<ModelPart> {
  const reader = createTagReader()
  for await (const part of parts) {
    if (typeof part === 'string') yield* reader.read(part)
    else {
      // What it holds back is not the start of a tag.
      if ('toolCallStart' in part || 'toolCall' in part) yield* reader.end()
      yield part
    }
  }
  yield* reader.end()
}

function createTagReader() {
  let state: 'before' | 'thinking' | 'text' = 'before'
  /** Text that may be the start of a tag. */
  let held = ''
  /** Directly after a tag: blank lines there belong to neither side. */
  let isBehindTag = false

  return {
    *read(delta: string): Generator<ModelPart> {
      let text = held + delta
      held = ''
      if (state === 'before') {
        const begun = text.trimStart()
        if (begun.length < opening.length && opening.startsWith(begun)) {
          held = text
          return
        }
        isBehindTag = begun.startsWith(opening)
        state = isBehindTag ? 'thinking' : 'text'
        if (isBehindTag) text = begun.slice(opening.length)
      }
      if (state === 'thinking') {
        const end = text.indexOf(closing)
        const upTo = end === -1 ? text.length - heldLength(text) : end
        const reasoning = trimmed(text.slice(0, upTo))
        if (reasoning !== '') yield { reasoning }
        held = end === -1 ? text.slice(upTo) : ''
        if (end === -1) return
        state = 'text'
        isBehindTag = true
        text = text.slice(end + closing.length)
      }
      text = trimmed(text)
      if (text !== '') yield text
    },
    *end(): Generator<ModelPart> {
      if (held !== '') yield state === 'thinking' ? { reasoning: held } : held
      held = ''
    },
  }

  function trimmed(text: string): string {
    const rest = isBehindTag ? text.trimStart() : text
    isBehindTag &&= rest === ''
    return rest
  }
}

/** The length of the end of a text that could be the start of the closing tag. */
function heldLength(text: string): number {
  for (let length = Math.min(closing.length - 1, text.length); length > 0; length--) {
    if (closing.startsWith(text.slice(-length))) return length
  }
  return 0
}
