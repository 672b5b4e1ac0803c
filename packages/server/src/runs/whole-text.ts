/**
 * All text from models passes through here: only whole characters, and never more at once than an event holds. A provider
 * may cut its tokens anywhere, also within an emoji. Half a surrogate pair in an event is rejected by strict JSON parsers
 * and displayed as `�` by others.
 */
import { limits } from '@millrace/protocol'

/** UTF-16 code units. Leaves room for the event's other fields and for JSON's escapes. */
export const textLengthMax = limits.eventBytesMax / 8

export interface WholeText {
  /** The pieces that can be written now: none, one or several. */
  push(delta: string): string[]
  /** The rest at the end of the text: `\ufffd` for half a pair without its other half. */
  end(): string[]
}

export function createWholeText(): WholeText {
  /** The first half of a surrogate pair whose second half has not arrived yet. */
  let half = ''

  return {
    push(delta) {
      const text = half + delta
      const isCut = isFirstHalf(text, text.length - 1)
      half = isCut ? text.slice(-1) : ''
      return cut((isCut ? text.slice(0, -1) : text).toWellFormed())
    },
    end() {
      const left = half.toWellFormed()
      half = ''
      return left === '' ? [] : [left]
    },
  }
}

function cut(text: string): string[] {
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    const end = at + textLengthMax
    const next = end < text.length && isFirstHalf(text, end - 1) ? end - 1 : end
    pieces.push(text.slice(at, next))
    at = next
  }
  return pieces
}

function isFirstHalf(text: string, at: number): boolean {
  const unit = text.charCodeAt(at)
  return unit >= 0xd800 && unit <= 0xdbff
}
