/**
 * Markdown as tokens, never as HTML: what marked recognises is handed to React, which escapes
 * everything. marked's own HTML renderer is not used anywhere.
 */
import { getDefaults, Lexer, type Links, type Token, type Tokens } from 'marked'
import { AnswerTokenizer, answerHooks } from './tokenizer.ts'

export type { Links }

/** A text in which no markdown can be hidden, for example a long count, is not worth a lexer's pass per frame. */
const mayBeMarkdown = /[^\p{L}\p{N} ,;，。；、]/u

/** @param links Definitions that stand in earlier blocks. */
export function lexBlocks(source: string, links: Links = {}): readonly Token[] {
  if (!mayBeMarkdown.test(source) && !/^\s/.test(source) && source !== '') return [plainParagraph(source)]
  const lexer = new AnswerLexer(source.length)
  Object.assign(lexer.tokens.links, links)
  return lexer.lex(source)
}

class AnswerLexer extends Lexer {
  #budget: number

  constructor(length: number) {
    super({ ...getDefaults(), gfm: true, breaks: true, tokenizer: new AnswerTokenizer(), hooks: answerHooks })
    this.#budget = 4_000_000 + 200 * length
  }

  /**
   * marked's work on one paragraph grows with its length times the characters that may begin something: seconds for
   * 40,000 exclamation marks. What goes beyond the budget, far above any text that was written to be read, is plain.
   */
  override inlineTokens(src: string, tokens: Token[] = []): Token[] {
    const cost = src.length * (src.match(/[*_~`[\]<!\\$@]/g)?.length ?? 0)
    if (cost > this.#budget) {
      tokens.push(plainText(src))
      return tokens
    }
    this.#budget -= cost
    return super.inlineTokens(src, tokens)
  }
}

export function plainParagraph(raw: string): Tokens.Paragraph {
  return { type: 'paragraph', raw, text: raw, tokens: [plainText(raw)] }
}

function plainText(raw: string): Tokens.Text {
  return { type: 'text', raw, text: raw, escaped: false }
}
