/**
 * Markdown that grows. All blocks but the last, or the last two, are final while it does: text that is appended changes them no
 * more (a list, for example, may go on below what looks like a paragraph). So each frame lexes only the tail, and React
 * keeps the DOM of everything before it. Lexing the whole answer every frame would be quadratic: seconds per frame at
 * the end of a long answer.
 *
 * One thing at the end can still change what is above: a definition (`[1]: https://…`) makes links of words. It does
 * so when the answer is complete; then all of it is lexed once, as after a reload.
 */
import type { Token } from 'marked'
import { healTail } from './heal.ts'
import { type Links, lexBlocks, plainParagraph } from './lexer.ts'
import { reuseTokens } from './reuse.ts'

export interface Blocks {
  readonly source: string
  /** Whether more is expected; until then the end of the text is healed. */
  readonly isGrowing: boolean
  /** Length of the source that `frozen` covers. */
  readonly frozenEnd: number
  /** Length of the source that `frozen` and `live` cover; what is behind it is plain text for a while. */
  readonly lexedEnd: number
  readonly frozen: readonly Token[]
  readonly live: readonly Token[]
  /** Definitions in `frozen`. */
  readonly links: Links
}

export const noBlocks: Blocks = { source: '', isGrowing: false, frozenEnd: 0, lexedEnd: 0, frozen: [], live: [], links: {} }

/** A tail longer than this is lexed when it has grown by a sixteenth, so that the work for all of it stays linear. */
const eagerMax = 16_384

export function growBlocks(previous: Blocks, text: string, isGrowing: boolean): Blocks {
  // The lexer counts a line's end as one character; so must `frozenEnd`.
  const source = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  if (source === previous.source && isGrowing === previous.isGrowing) return previous
  const base = isGrowing && source.startsWith(previous.source) ? previous : noBlocks
  if (isGrowing && isTooSoon(base, source)) return { ...base, source, isGrowing }
  const tail = source.slice(base.frozenEnd)
  const lexed = lexBlocks(isGrowing ? healTail(tail) : tail, base.links)
  const tokens = keepTokens(previous, base, lexed)
  const cut = countFinal(tokens)
  const finals = tokens.slice(0, cut)
  const covered = finals.reduce((length, token) => length + token.raw.length, 0)
  const next = { ...base, source, isGrowing, lexedEnd: source.length }
  // Should the lexer ever report a raw text that is not the source's, nothing is frozen: slow but right.
  if (!tail.startsWith(finals.map((token) => token.raw).join(''))) return { ...next, live: tokens }
  return {
    ...next,
    frozenEnd: base.frozenEnd + covered,
    frozen: cut === 0 ? base.frozen : [...base.frozen, ...finals],
    live: tokens.slice(cut),
    links: addLinks(base.links, finals),
  }
}

/** All that is shown, in order. */
export function listBlocks({ source, lexedEnd, frozen, live }: Blocks): readonly Token[] {
  const rest = source.slice(lexedEnd)
  return rest === '' ? [...frozen, ...live] : [...frozen, ...live, plainParagraph(rest)]
}

/** Code is quickly lexed, and its last line belongs to it. */
function isTooSoon({ lexedEnd, frozenEnd, live }: Blocks, source: string): boolean {
  const length = lexedEnd - frozenEnd
  return length > eagerMax && live.at(-1)?.type !== 'code' && source.length - lexedEnd < length / 16
}

/** With other definitions the same text may be other tokens. */
function keepTokens(previous: Blocks, base: Blocks, tokens: readonly Token[]): readonly Token[] {
  if (base !== noBlocks) return reuseTokens(previous.live, tokens)
  const all = [...previous.frozen, ...previous.live]
  return [...all, ...tokens].some((token) => token.type === 'def') ? tokens : reuseTokens(all, tokens)
}

function addLinks(links: Links, tokens: readonly Token[]): Links {
  const added = tokens.flatMap((token) => (token.type === 'def' ? [[token.tag, { href: token.href, title: token.title }]] : []))
  // The first one of a name counts.
  return added.length === 0 ? links : { ...Object.fromEntries(added.reverse()), ...links }
}

/** Blank space between blocks is a token too; it is none of those that stay open. */
function countFinal(tokens: readonly Token[]): number {
  const last = tokens.findLastIndex(({ type }) => type !== 'space')
  const before = tokens.slice(0, Math.max(0, last)).findLastIndex(({ type }) => type !== 'space')
  if (before === -1) return 0
  return isOver(tokens[before], tokens[last], last - before > 1) ? last : before
}

/** Whether a block is over because of the one below it, whatever that becomes. */
function isOver(block: Token | undefined, next: Token | undefined, isApart: boolean): boolean {
  if (next?.type === 'code' && /^(?:```|~~~)/.test(next.raw)) return true
  switch (block?.type) {
    case 'heading':
    case 'hr':
      return true
    case 'paragraph':
    case 'table':
      return isApart
    default:
      return block?.type === 'code' && /^(?:```|~~~)/.test(block.raw)
  }
}
