/**
 * What the journal stores of a batch's text. The events of a run begin alike, with its id and lane, and that is most of a
 * token: an event that begins as the log's last whole one in the journal is stored as the length of what they share, and
 * the rest. Such a line begins with a tab, which no type contains.
 */

export interface Shortened {
  readonly text: string
  /** The last event that is stored whole: the next text of the log may refer to it. */
  readonly whole: string | undefined
}

/** Of the data; what is shorter is not worth a reference. */
const sharedMin = 16

/** `whole` is undefined where the journal has no event of the log that may be referred to. */
export function shorten(text: string, whole: string | undefined): Shortened {
  let last = whole
  let short = ''
  for (let at = 0; at < text.length; ) {
    const data = text.indexOf('\n', at) + 1
    const end = endOfLine(text, data)
    const shared = last === undefined ? 0 : countShared(text, at, end, last)
    if (short !== '') short += '\n'
    if (at + shared >= data + sharedMin) short += `\t${shared}\n${text.slice(at + shared, end)}`
    else {
      last = text.slice(at, end)
      short += last
    }
    at = end + 1
  }
  return { text: short, whole: last }
}

/** Undefined where the event that the text refers to is not there. The caller MUST check the sum: it may be another one. */
export function lengthen(short: string, whole: string | undefined): Shortened | undefined {
  let last = whole
  let text = ''
  for (let at = 0; at < short.length; ) {
    const data = short.indexOf('\n', at) + 1
    const end = endOfLine(short, data)
    if (text !== '') text += '\n'
    if (short[at] !== '\t') {
      last = short.slice(at, end)
      text += last
    } else if (last === undefined) return undefined
    else text += last.slice(0, Number(short.slice(at + 1, data - 1))) + short.slice(data, end)
    at = end + 1
  }
  return { text, whole: last }
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end
}

/** How many characters of an event, which is from `at` to `end`, another one begins with. */
function countShared(text: string, at: number, end: number, other: string): number {
  const most = Math.min(end - at, other.length)
  let count = 0
  while (count < most && text.charCodeAt(at + count) === other.charCodeAt(count)) count++
  // SQLite's text cannot begin with the second half of a character.
  return isFirstHalf(text.charCodeAt(at + count - 1)) ? count - 1 : count
}

function isFirstHalf(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
}
