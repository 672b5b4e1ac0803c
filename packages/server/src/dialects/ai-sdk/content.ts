/** What a user wrote in a message of the AI SDK: texts, and files as data: URLs or as addresses of this server. */
import { type FilePart, MillraceError, type TextPart } from '@millrace/protocol'
import type { Exchange } from '../../sessions/conversation.ts'
import type { FileBytesPart } from '../../sessions/given-files.ts'
import { readDataUrl } from '../shared/data-url.ts'
import { parseFileUrl } from '../shared/file-url.ts'

export interface UiPart {
  readonly type: string
  readonly [field: string]: unknown
}

export type Content = readonly (TextPart | FilePart | FileBytesPart)[]

/** Other parts are the application's own, and no model gets them. Throws `invalid_request`. */
export function readContent(parts: readonly UiPart[], session: string): Content {
  return parts.flatMap((part): Content => {
    if (part.type === 'text') return typeof part.text === 'string' && part.text !== '' ? [{ type: 'text', text: part.text }] : []
    return part.type === 'file' ? [readFile(part, session)] : []
  })
}

/** The text of a message of any role. */
export function textOf(parts: readonly UiPart[]): string {
  return parts.map((part) => (part.type === 'text' && typeof part.text === 'string' ? part.text : '')).join('')
}

/** Whether a recorded question is this one. */
export function isSameQuestion({ query, messages = [] }: Pick<Exchange, 'query' | 'messages'>, content: Content): boolean {
  const last = messages.at(-1)?.content ?? []
  const recorded = typeof last === 'string' ? [] : last.filter((part) => part.type === 'file')
  const files = content.filter((part) => part.type === 'file')
  const text = content.map((part) => ('text' in part ? part.text : '')).join('')
  const isSameFile = (file: FilePart | FileBytesPart, { file: position, mediaType, size }: FilePart) =>
    'bytes' in file ? file.mediaType === mediaType && file.bytes.byteLength === size : file.file === position
  return (
    text === query && files.length === recorded.length && files.every((file, at) => isSameFile(file, recorded[at] as FilePart))
  )
}

function readFile({ url, mediaType, filename }: UiPart, session: string): FilePart | FileBytesPart {
  const address = typeof url === 'string' ? url : ''
  const file = parseFileUrl(session, address)
  if (file !== undefined) return { type: 'file', file }
  const found = readDataUrl(address)
  if (found === undefined)
    throw new MillraceError('invalid_request', { message: 'A file is a data: URL in base64, or a file of this chat.' })
  const name = typeof filename === 'string' ? filename : undefined
  const declared = typeof mediaType === 'string' && mediaType !== '' && { mediaType }
  return { type: 'file', ...found, ...declared, ...(name !== undefined && { name }) }
}
