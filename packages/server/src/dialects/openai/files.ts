/** Files in a question: bytes that the request brings, as both APIs write them. */
import { type Message, MillraceError, type TextPart } from '@millrace/protocol'
import { z } from 'zod'
import type { FileBytesPart, MessageWithBytes } from '../../sessions/given-files.ts'
import { isBytes } from '../shared/asked-files.ts'
import { readDataUrl } from '../shared/data-url.ts'

const text = z.string()

/** Of a message: a text, a refusal of an earlier answer, or a file. */
export const contentPart = z.looseObject({
  type: text,
  text: text.optional(),
  refusal: text.optional(),
  image_url: text.or(z.looseObject({ url: text })).nullish(),
  input_audio: z.looseObject({ data: text, format: text }).optional(),
  file: z.looseObject({ file_data: text.optional(), filename: text.optional() }).optional(),
  file_data: text.nullish(),
  filename: text.nullish(),
})

export type ContentPart = z.output<typeof contentPart>
export type GivenMessage = Message | MessageWithBytes

/** Throws `file_not_supported` for a file, which only a message of a user has. */
export function textOfContent(content: string | readonly ContentPart[] | null | undefined, field: string): string {
  if (typeof content === 'string') return content
  return (content ?? [])
    .map((part, index) => part.text ?? part.refusal ?? notHere(part, `${field}.${index}`, 'in a message of this role'))
    .join('')
}

/** The content of a message of a user; a string where it has no files. Throws `file_not_supported`. */
export function readContent(
  content: string | readonly ContentPart[] | null | undefined,
  field: string,
): string | readonly (TextPart | FileBytesPart)[] {
  if (content == null || typeof content === 'string') return content ?? ''
  const parts = content.flatMap((part, index): (TextPart | FileBytesPart)[] => {
    const said = part.text ?? part.refusal
    if (said !== undefined) return said === '' ? [] : [{ type: 'text', text: said }]
    return [readFile(part) ?? notHere(part, `${field}.${index}`, 'other than with its bytes, as a data: URL in base64')]
  })
  return parts.some(({ type }) => type === 'file') ? parts : parts.map((part) => ('text' in part ? part.text : '')).join('')
}

const sounds: Readonly<Record<string, string>> = { mp3: 'audio/mpeg', wav: 'audio/wav' }

function readFile({
  image_url: image,
  input_audio: sound,
  file,
  file_data: data,
  filename,
}: ContentPart): FileBytesPart | undefined {
  if (sound !== undefined) {
    const mediaType = sounds[sound.format] ?? `audio/${sound.format}`
    return { type: 'file', mediaType, bytes: Buffer.from(sound.data, 'base64') }
  }
  const url = (typeof image === 'string' ? image : image?.url) ?? file?.file_data ?? data ?? ''
  const found = readDataUrl(url)
  if (found === undefined || found.mediaType === '') return undefined
  const name = file?.filename ?? filename ?? undefined
  return { type: 'file', ...found, ...(name !== undefined && { name }) }
}

function notHere({ type }: ContentPart, field: string, how: string): never {
  const message = `\`${field}\` is of the type ${JSON.stringify(type)}, which cannot be sent ${how}.`
  throw new MillraceError('file_not_supported', { message })
}

/** The messages as they are checked before their files are kept: each file has a place that it will not have. */
export function withPlaces(messages: readonly GivenMessage[]): readonly Message[] {
  return messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map((part) => (isBytes(part) ? { type: 'file', file: '-' } : part)),
  }))
}
