/**
 * Where an answer is read otherwise than CommonMark has it: nesting has a bound, since marked recurses and a browser's
 * stack ends; formulas keep their source; `**` opens and closes beside Chinese, Japanese and Korean as it does beside a
 * space; and `20~30` is a range, not the begin of something struck out.
 */
import { Hooks, Tokenizer, type Tokens } from 'marked'

/** Deeper quotes, lists and emphasis are text. */
const nestingMax = 24

export class AnswerTokenizer extends Tokenizer {
  #depth = 0

  override blockquote(src: string): Tokens.Blockquote | undefined {
    return this.#nest(() => super.blockquote(src))
  }

  override list(src: string): Tokens.List | undefined {
    return this.#nest(() => super.list(src))
  }

  override link(src: string): Tokens.Link | Tokens.Image | undefined {
    return this.#nest(() => super.link(src))
  }

  override reflink(...args: Parameters<Tokenizer['reflink']>): ReturnType<Tokenizer['reflink']> {
    return this.#nest(() => super.reflink(...args))
  }

  override emStrong(src: string, maskedSrc: string, prevChar?: string): ReturnType<Tokenizer['emStrong']> {
    // Before a quotation mark, `**` opens only behind a space or punctuation; and so it does beside Chinese. marked gives half
    // of a rare character, or of an emoji, which is as good.
    const isBeside = besideStars.test(src) || (prevChar !== undefined && (cjk.test(prevChar) || /[\udc00-\udfff]/.test(prevChar)))
    const isFree = src.startsWith('*') && isBeside
    return this.#nest(() => super.emStrong(src, maskedSrc, isFree ? '' : prevChar))
  }

  override del(src: string, maskedSrc: string, prevChar?: string): Tokens.Del | undefined {
    return src.startsWith('~~') ? this.#nest(() => super.del(src, maskedSrc, prevChar)) : undefined
  }

  /** A formula on lines of its own is code: it has no other words to show, and it can be copied. */
  override fences(src: string): Tokens.Code | undefined {
    const raw = readDisplayMath(src)
    return raw === undefined ? super.fences(src) : { type: 'code', raw, text: raw.trim(), lang: 'latex' }
  }

  override escape(src: string): Tokens.Escape | undefined {
    const formula = math.exec(src)?.[0]
    if (formula !== undefined) return { type: 'escape', raw: formula, text: formula }
    const token = super.escape(src)
    // Half a formula: nobody escapes these brackets for any other reason.
    return token !== undefined && '()[]'.includes(token.text) ? { ...token, text: token.raw } : token
  }

  override inlineText(src: string): Tokens.Text | undefined {
    // `escape` is asked where a text ends, and marked knows no reason to end one before a formula in dollars.
    const dollar = src.includes('\\') ? src.indexOf('$', 1) : -1
    return super.inlineText(dollar === -1 ? src : src.slice(0, dollar))
  }

  #nest<T>(read: () => T): T | undefined {
    if (this.#depth >= nestingMax) return undefined
    this.#depth++
    try {
      return read()
    } finally {
      this.#depth--
    }
  }
}

/** `\( … \)`, `\[ … \]`, `$$ … $$`; and `$ … $` only with a backslash within, for most dollars are prices. */
const math = /^(?:\\\([\s\S]*?\\\)|\\\[[\s\S]*?\\\]|\$\$[^$]+\$\$|\$(?=[^\s$])[^$\n`]*\\[^$\n`]*(?<!\s)\$(?!\d))/

/** From its opening to the end of the line that closes it; one that is not closed ends with its paragraph. */
function readDisplayMath(src: string): string | undefined {
  const open = /^ {0,3}(\\\[|\$\$)([ \t]*\n)?/.exec(src)
  if (open === null) return undefined
  const paragraphEnd = src.search(/\n[ \t]*\n/)
  const block = paragraphEnd === -1 ? src : src.slice(0, paragraphEnd + 1)
  const close = block.indexOf(open[1] === '$$' ? '$$' : '\\]', open[0].length)
  if (close === -1) return open[2] === undefined ? undefined : block
  const rest = /^[ \t]*(?:\n|$)/.exec(block.slice(close + 2))
  return rest === null ? undefined : block.slice(0, close + 2) + rest[0]
}

/** Characters of Chinese, Japanese and Korean, full-width punctuation among them. */
const letters = String.raw`[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Bopomofo}\u3000-\u303f\uff00-\uffef]`
const cjk = new RegExp(letters, 'u')
const besideStars = new RegExp(String.raw`^\*+${letters}`, 'u')
/** Any character beside a delimiter that has a CJK character on one of its sides. */
const besideCjk = new RegExp(
  String.raw`[^\s*~](?=[*~]+${letters})|${letters}(?=[*~])|(?<=${letters}[*~]+)[^\s*~]|(?<=[*~])${letters}`,
  'gu',
)

/**
 * CommonMark closes `**` only where a word ends, and a full-width colon is no word's end: `**注意：**请看` stays full of
 * asterisks. marked looks for the closing ones in this copy of the text, in which code is already masked; with a
 * letter on each side they may open and close.
 */
export const answerHooks = Object.assign(new Hooks(), {
  emStrongMask: (src: string) => src.replace(besideCjk, (character) => 'a'.repeat(character.length)),
})
