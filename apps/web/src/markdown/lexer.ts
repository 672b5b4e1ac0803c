/**
 * Markdown as tokens, never as HTML: what marked recognises is handed to React, which escapes
 * everything. marked's own HTML renderer is not used anywhere.
 */
import { Marked, type Token, type TokenizerExtension, type Tokens } from 'marked'

/**
 * CommonMark closes `**` only where a word ends, and full-width punctuation is no word's end for
 * it: `**注意：**请看` stays full of asterisks. A model that writes Chinese produces this constantly.
 */
const strongBesideChinese: TokenizerExtension = {
  name: 'strong',
  level: 'inline',
  start: (source) => source.indexOf('**'),
  tokenizer(source) {
    const match = /^\*\*(?=[^\s*])([^*\n]*[^\s*])\*\*(?!\*)/.exec(source)
    if (match === null) return undefined
    const [raw, text = ''] = match
    return { type: 'strong', raw, text, tokens: this.lexer.inlineTokens(text) }
  },
}

const marked = new Marked({ gfm: true, breaks: true, extensions: [strongBesideChinese] })

/** A text in which no markdown can be hidden, for example a long count, is not worth a lexer's pass per frame. */
const mayBeMarkdown = /[^\p{L}\p{N} ,;，。；、]/u

export function lexBlocks(source: string): readonly Token[] {
  if (!mayBeMarkdown.test(source) && !/^\s/.test(source) && source !== '') return [plainParagraph(source)]
  return marked.lexer(source)
}

function plainParagraph(raw: string): Tokens.Paragraph {
  return { type: 'paragraph', raw, text: raw, tokens: [{ type: 'text', raw, text: raw, escaped: false }] }
}
