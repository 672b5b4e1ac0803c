/** What a file may be, and whether its bytes are what it is declared as. */
import { limits, MillraceError, mediaTypePattern } from '@millrace/protocol'

/** A media type, `image/*` or everything. */
export function isTypePattern(text: string): boolean {
  return text === '*/*' || mediaTypePattern.test(text.replace(/\/\*$/, '/x'))
}

export function matchesType(patterns: readonly string[], mediaType: string): boolean {
  const group = `${mediaType.split('/', 1)[0]}/*`
  return patterns.some((pattern) => pattern === mediaType || pattern === group || pattern === '*/*')
}

/** Of a `Content-Type`: in lower case, without parameters. Throws `file_type_not_allowed`. */
export function readMediaType(header: string | null | undefined, allowed: readonly string[]): string {
  const mediaType = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (mediaTypePattern.test(mediaType) && matchesType(allowed, mediaType)) return mediaType
  const message = `Files of this type are not accepted here; declare one of ${allowed.join(', ')} as the content-type.`
  throw new MillraceError('file_type_not_allowed', { message })
}

/**
 * Of a name from outside the last segment of its path, without characters that end a line, control or reorder text, or are
 * invisible. Undefined where nothing is left.
 */
export function cleanName(name: string | undefined): string | undefined {
  const last = name?.toWellFormed().split(/[/\\]/).at(-1) ?? ''
  const clean = last.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\ufffd]/gu, '').trim()
  const short = clean
    .slice(0, limits.fileNameLengthMax)
    .toWellFormed()
    .replace(/\ufffd$/, '')
  return /^\.*$/.test(short) ? undefined : short
}

/** The first bytes of a file of each type, in hexadecimal. */
const signatures: Readonly<Record<string, RegExp>> = {
  'image/png': /^89504e470d0a1a0a/,
  'image/jpeg': /^ffd8ff/,
  'image/gif': /^47494638(37|39)61/,
  'image/webp': /^52494646.{8}57454250/,
  'application/pdf': /^255044462d/,
}

const isText = (mediaType: string) => mediaType.startsWith('text/') || mediaType === 'application/json'

/** Throws `file_type_mismatch` where the first bytes show that a file is not of its type. */
export function checkBeginning(mediaType: string, bytes: Uint8Array): void {
  const signature = Object.hasOwn(signatures, mediaType) ? signatures[mediaType] : undefined
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 16)).toString('hex')
  if (signature?.test(head) === false) throw mismatch(mediaType)
  if (isText(mediaType)) createTextCheck()(bytes)
}

/** Throws `file_type_mismatch` where the bytes are not text. A file of another type is not read. */
export async function checkWhole(mediaType: string, bytes: () => AsyncIterable<Uint8Array>): Promise<void> {
  if (!isText(mediaType)) return
  const check = createTextCheck()
  for await (const piece of bytes()) check(piece)
  check(new Uint8Array(), true)
}

/** UTF-8 without U+0000, which a binary file has nearly always and no text has. */
function createTextCheck(): (bytes: Uint8Array, isLast?: boolean) => void {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  return (bytes, isLast = false) => {
    try {
      if (!bytes.includes(0)) return void decoder.decode(bytes, { stream: !isLast })
    } catch {
      // Not UTF-8.
    }
    throw mismatch('text')
  }
}

function mismatch(what: string): MillraceError {
  const expected = what === 'text' ? 'text in UTF-8' : what
  return new MillraceError('file_type_mismatch', { message: `The bytes are not ${expected}; declare the file as what it is.` })
}
