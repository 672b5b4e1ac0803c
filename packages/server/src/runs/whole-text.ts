/**
 * The one place between a model and the log that text passes: only whole characters get through, and never more at once
 * than an event holds. A provider cuts its tokens where it likes, in the middle of an emoji too; half a surrogate pair
 * in an event is refused by strict JSON readers and shown as `�` by others.
 */
import { limits } from '@millrace/protocol'

/** UTF-16 code units. Leaves room for the event's other fields and for JSON's escapes. */
export const textLengthMax = limits.eventBytesMax / 8

export interface WholeText {
  /** What of a delta can be written now: none, one, or several pieces. */
  push(delta: string): string[]
  /** What is left when no more will come: `\ufffd` for a half that never got its other half. */
  end(): string[]
}

export function createWholeText(): WholeText {
  /** The first half of a pair whose second half has not come yet. */
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

/** Takes the half characters out of a JSON text, which only has them as escapes: `JSON.stringify` is well-formed. */
export function toWholeJson(json: string): string {
  return json.replaceAll(/\\(?:\\|ud[89a-f][0-9a-f]{2})/g, (found) => (found === '\\\\' ? found : '\ufffd'))
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
