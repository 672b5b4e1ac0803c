/**
 * Markdown that grows. All blocks but the last two are final: text that is appended can no longer
 * change them (a list, for example, is not over until the block after it has begun). So each frame
 * lexes only the tail, and React keeps the DOM of everything before it. Lexing the whole answer
 * every frame would be quadratic: seconds per frame at the end of a long answer.
 */
import type { Token } from 'marked'
import { healTail } from './heal.ts'
import { lexBlocks } from './lexer.ts'

export interface Blocks {
  readonly source: string
  /** Whether more is expected; until then the end of the text is healed. */
  readonly isGrowing: boolean
  /** Length of the source that `frozen` covers. */
  readonly frozenEnd: number
  readonly frozen: readonly Token[]
  readonly live: readonly Token[]
}

export const noBlocks: Blocks = { source: '', isGrowing: false, frozenEnd: 0, frozen: [], live: [] }

/** How many blocks at the end may still change. */
const liveCount = 2

export function growBlocks(previous: Blocks, text: string, isGrowing: boolean): Blocks {
  // The lexer counts a line's end as one character; so must `frozenEnd`.
  const source = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  if (source === previous.source && isGrowing === previous.isGrowing) return previous
  const base = source.startsWith(previous.source) ? previous : noBlocks
  const tail = source.slice(base.frozenEnd)
  const tokens = lexBlocks(isGrowing ? healTail(tail) : tail)
  const cut = countFinal(tokens)
  const finals = tokens.slice(0, cut)
  const covered = finals.reduce((length, token) => length + token.raw.length, 0)
  // Should the lexer ever report a raw text that is not the source's, nothing is frozen: slow but right.
  if (!tail.startsWith(finals.map((token) => token.raw).join(''))) return { ...base, source, isGrowing, live: tokens }
  return {
    source,
    isGrowing,
    frozenEnd: base.frozenEnd + covered,
    frozen: cut === 0 ? base.frozen : [...base.frozen, ...finals],
    live: tokens.slice(cut),
  }
}

/** Blank space between blocks is a token too; it is not one of the two that stay open. */
function countFinal(tokens: readonly Token[]): number {
  let open = 0
  for (let index = tokens.length - 1; index >= 0; index--) {
    if (tokens[index]?.type !== 'space') open++
    if (open === liveCount) return index
  }
  return 0
}
