// biome-ignore-all lint/suspicious/noArrayIndexKey: a token has no identity but its place, and text only grows at the end
/**
 * Inline tokens as React elements. Unknown kinds are shown as the text they were. Each text has an element of its own:
 * a browser that translates the page replaces text nodes, and React cannot remove one beside elements that is
 * no longer there.
 */
import type { Token, Tokens } from 'marked'
import type { ReactNode } from 'react'
import styles from './markdown.module.css'
import { decodeEntities } from './text.ts'

export function Inline({ tokens = [] }: { tokens: readonly Token[] | undefined }): ReactNode {
  const parts: (Token | string)[] = []
  for (const token of tokens) {
    const words = readWords(token)
    const last = parts.at(-1)
    if (words !== undefined && typeof last === 'string') parts[parts.length - 1] = last + words
    else parts.push(words ?? token)
  }
  return parts.map((part, index) =>
    typeof part === 'string' ? <Words key={index} text={part} /> : <InlineToken key={index} token={part} />,
  )
}

/** HTML is shown as the text it is, never as elements; but a line break is one, for in a table there is no other. */
export function Words({ text }: { text: string }): ReactNode {
  if (!text.includes(lineBreak)) return <span>{text}</span>
  const lines = text.split(lineBreak)
  return <span>{lines.flatMap((line, index) => (index === 0 ? line : [<br key={index} />, line]))}</span>
}

export function readHtml(html: string): string {
  return html.replace(/<br\s*\/?>/gi, lineBreak)
}

/** Stands for `<br>` among words; U+2028 is what Unicode has for it. */
const lineBreak = '\u2028'

/** Of what is nothing but words. */
function readWords(token: Token): string | undefined {
  if (token.type === 'html') return readHtml(token.raw)
  if (token.type === 'escape') return token.text.length > 2 ? undefined : token.text
  return token.type === 'text' && token.tokens === undefined ? decodeEntities(token.text) : undefined
}

function InlineToken({ token }: { token: Token }): ReactNode {
  switch (token.type) {
    case 'text':
      return <Inline tokens={token.tokens} />
    case 'escape':
      return <span className={styles.math}>{token.text}</span>
    case 'strong':
      return (
        <strong>
          <Inline tokens={token.tokens} />
        </strong>
      )
    case 'em':
      return (
        <em>
          <Inline tokens={token.tokens} />
        </em>
      )
    case 'del':
      return (
        <del>
          <Inline tokens={token.tokens} />
        </del>
      )
    case 'codespan':
      return <code>{(token as Tokens.Codespan).text}</code>
    case 'br':
      return <br />
    case 'link':
      return <Link link={token as Tokens.Link} />
    case 'image':
      // Loading it would tell a stranger's server that this answer was read.
      return <Link link={{ ...(token as Tokens.Image), type: 'link', tokens: [] }} />
    default:
      return <span>{token.raw}</span>
  }
}

function Link({ link }: { link: Tokens.Link }): ReactNode {
  const href = vetLink(decodeEntities(link.href), document.baseURI)
  const words = link.tokens.length > 0 ? <Inline tokens={link.tokens} /> : decodeEntities(link.text || (href ?? ''))
  if (href === undefined) return <span>{words}</span>
  return (
    <a href={href} target="_blank" rel="nofollow noopener noreferrer">
      {words}
    </a>
  )
}

/**
 * Only addresses that cannot run anything: a model's text is not to be trusted with `javascript:`. Nor with addresses of
 * this server, absolute or relative, which believes what comes from its own page: `/api/chat?query=…` would start a run by
 * one click.
 */
export function vetLink(href: string, page: string): string | undefined {
  // With one slash it would be a path of the page's own server.
  if (!/^(?:https?:\/\/|mailto:)/i.test(href) || !URL.canParse(href)) return undefined
  return new URL(href).host === new URL(page).host ? undefined : href
}
