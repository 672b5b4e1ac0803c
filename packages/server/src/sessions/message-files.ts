/** Files of messages: which a question may have, which a model is given, and how they are read. */
import {
  type FilePart,
  formatPosition,
  limits,
  type Message,
  type MessagePart,
  MillraceError,
  parsePosition,
} from '@millrace/protocol'
import { type OpenFile, readWhole } from '../files/files.ts'
import { matchesType } from '../files/media-types.ts'
import type { Model, ModelFilePart, ModelMessage, ModelMessagePart } from '../models/model.ts'

/** All bytes of a file of the session, by its position. */
export type ReadFile = (position: string, signal?: AbortSignal) => Promise<Uint8Array>

export const noFile: ReadFile = () => Promise.reject(new MillraceError('file_not_found'))

export function createReadFile(openFile: OpenFile, session: string): ReadFile {
  return async (position, signal) => readWhole(await openFile(session, position), signal)
}

export function filesOf(messages: readonly Message[] = []): FilePart[] {
  return messages.flatMap(({ content }) => (typeof content === 'string' ? [] : content.filter((part) => part.type === 'file')))
}

/**
 * The messages with what the session says of their files, whatever the request says. Rejects with `file_not_found`, as
 * `openFile` does, and with `messages_too_large`.
 */
export async function describeFiles(
  messages: readonly Message[],
  openFile: OpenFile,
  session: string | undefined,
): Promise<readonly Message[]> {
  const count = filesOf(messages).length
  if (count === 0) return messages
  if (count > limits.filesMax) throw tooMany()
  let bytes = 0
  const described = await Promise.all(
    messages.map(async (message) => {
      if (typeof message.content === 'string') return message
      return { ...message, content: await Promise.all(message.content.map(describe)) }
    }),
  )
  if (bytes > limits.filesBytesMax) throw tooMany()
  return described

  async function describe<Part extends MessagePart>(part: Part): Promise<Part | FilePart> {
    if (part.type !== 'file') return part
    if (session === undefined) throw new MillraceError('file_not_found')
    const { mediaType, name, size } = await openFile(session, part.file)
    bytes += size
    const { epoch = '', offset = 0 } = parsePosition(part.file) ?? {}
    return { type: 'file', file: formatPosition({ epoch, offset }), mediaType, ...(name !== undefined && { name }), size }
  }
}

function tooMany(): MillraceError {
  const message = `A question has at most ${limits.filesMax} files of ${limits.filesBytesMax / 1_048_576} MiB together; send fewer.`
  return new MillraceError('messages_too_large', { message })
}

/** Throws `file_not_supported`. */
export function requireAccepted({ name, accepts = [] }: Pick<Model, 'name' | 'accepts'>, files: readonly FilePart[]): void {
  const refused = files.find(({ mediaType = '' }) => !matchesType(accepts, mediaType))
  if (refused === undefined) return
  const message = `The model ${name} does not take files of the type ${refused.mediaType}; leave it out, or ask another model.`
  throw new MillraceError('file_not_supported', { message })
}

export function toModelPart(part: MessagePart, readFile: ReadFile): ModelMessagePart {
  if (part.type !== 'file') return part
  const { file, mediaType = '', name, size = 0 } = part
  return { type: 'file', mediaType, ...(name !== undefined && { name }), size, read: (signal) => readFile(file, signal) }
}

/**
 * The messages as a model takes them: of files that it does not accept, and of those that would be too many bytes, it gets the
 * names. The newest files are given first.
 */
export function giveFiles(messages: readonly ModelMessage[], { accepts = [] }: Pick<Model, 'accepts'>): readonly ModelMessage[] {
  if (!messages.some(({ parts }) => parts?.some(({ type }) => type === 'file'))) return messages
  let left: number = limits.filesBytesMax
  const take = (part: ModelMessagePart): ModelMessagePart => {
    if (part.type !== 'file') return part
    const isGiven = matchesType(accepts, part.mediaType) && part.size <= left
    if (isGiven) left -= part.size
    return isGiven ? part : { type: 'text', text: nameOf(part) }
  }
  return messages
    .toReversed()
    .map((message) => {
      if (message.parts === undefined) return message
      const parts = message.parts.toReversed().map(take).toReversed()
      return message.role === 'user' ? { ...message, text: textOf(parts), parts } : message
    })
    .toReversed()
}

function nameOf({ name = 'file', mediaType, size }: ModelFilePart): string {
  return `[${name}, ${mediaType}, ${size} bytes]`
}

function textOf(parts: readonly ModelMessagePart[]): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}
