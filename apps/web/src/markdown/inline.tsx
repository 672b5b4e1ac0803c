// biome-ignore-all lint/suspicious/noArrayIndexKey: a token has no identity but its place, and text only grows at the end
/** Inline tokens as React elements. Unknown kinds are shown as the text they were. */
import type { Token, Tokens } from 'marked'
import type { ReactNode } from 'react'

export function Inline({ tokens }: { tokens: readonly Token[] | undefined }): ReactNode {
  return tokens?.map((token, index) => <InlineToken key={index} token={token} />)
}

function InlineToken({ token }: { token: Token }): ReactNode {
  switch (token.type) {
    case 'text':
    case 'escape': {
      const text = token as Tokens.Text
      return text.tokens === undefined ? plain(text.text) : <Inline tokens={text.tokens} />
    }
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
      return token.raw
  }
}

function Link({ link }: { link: Tokens.Link }): ReactNode {
  const words = link.tokens.length > 0 ? <Inline tokens={link.tokens} /> : link.text || link.href
  const href = vetLink(link.href)
  if (href === undefined) return words
  return (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {words}
    </a>
  )
}

/** Only addresses that cannot run anything: a model's text is not to be trusted with `javascript:`. */
export function vetLink(href: string): string | undefined {
  // The base only makes relative addresses parse; what is answered is the address as it stood.
  const base = 'http://relative.invalid'
  if (!URL.canParse(href, base)) return undefined
  return ['http:', 'https:', 'mailto:'].includes(new URL(href, base).protocol) ? href : undefined
}

/** Text may hold entities; the few that models write are decoded, all others are shown as they stand. */
function plain(text: string): string {
  return text.includes('&') ? text.replace(/&(?:amp|lt|gt|quot|#39|nbsp);/g, (entity) => entities[entity] ?? entity) : text
}

const entities: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&nbsp;': '\u00a0',
}
