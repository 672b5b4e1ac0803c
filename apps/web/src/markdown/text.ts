/** Markdown may hold HTML's entities, in its words and in its addresses: `&rarr;`, `&#8594;`, `&#x2192;`. */
import { decodeNamedCharacterReference } from 'decode-named-character-reference'

export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z][a-z\d]{1,30}));/gi, (entity, decimal, hex, name) => {
    if (name !== undefined) return decodeNamedCharacterReference(name) || entity
    return readCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal))
  })
}

/** What is no character is shown as browsers show it. */
function readCodePoint(code: number): string {
  const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
  return isCharacter ? String.fromCodePoint(code) : '\ufffd'
}
