/** Plain text: whatever arrives is the answer. */
import type { LineReader } from './line.ts'

export function createTextLines(): LineReader {
  return { read: (text) => ({ parts: text === '' ? [] : [{ text }] }), mayEnd: true }
}
