/**
 * A block that grows is lexed again for each frame, into new tokens. What did not change in it keeps the tokens it had,
 * so that React skips it: of a list of a thousand items only the last is rendered.
 */
import type { Token, Tokens } from 'marked'

export function reuseTokens(before: readonly Token[], after: readonly Token[]): readonly Token[] {
  return after.map((token, index) => reuse(before[index], token))
}

function reuse(before: Token | undefined, after: Token): Token {
  if (before === undefined || before.type !== after.type) return after
  if (after.type === 'list' && before.type === 'list') return reuseList(before as Tokens.List, after as Tokens.List)
  if (after.type === 'table' && before.type === 'table') return reuseRows(before as Tokens.Table, after as Tokens.Table)
  if (before.raw === after.raw) return before
  if (after.type !== 'blockquote' || before.type !== 'blockquote') return after
  return { ...after, tokens: [...reuseTokens(before.tokens ?? [], after.tokens ?? [])] }
}

/** A list that became loose has other items although their text is the same. */
function reuseList(before: Tokens.List, after: Tokens.List): Tokens.List {
  const items = after.items.map((item, index) => {
    const old = before.items[index]
    if (old === undefined || old.loose !== item.loose) return item
    return old.raw === item.raw ? old : { ...item, tokens: [...reuseTokens(old.tokens, item.tokens)] }
  })
  return { ...after, items }
}

function reuseRows(before: Tokens.Table, after: Tokens.Table): Tokens.Table {
  const rows = after.rows.map((row, index) => {
    const old = before.rows[index]
    return old?.every((cell, column) => cell.text === row[column]?.text && cell.align === row[column]?.align) ? old : row
  })
  return { ...after, rows }
}
