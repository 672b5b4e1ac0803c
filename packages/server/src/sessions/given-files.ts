/** Files that the host's own code asks with: their bytes are kept in the session first, and the question names them. */
import { type Message, type MessagePart, MillraceError, mediaTypePattern } from '@millrace/protocol'
import { cleanName } from '../files/media-types.ts'
import type { Uploads } from '../files/uploads.ts'
import type { Runs } from '../runs/runs.ts'
import { createSession, type SessionStores } from './create-session.ts'

/** In a message of a user. */
export interface FileBytesPart {
  readonly type: 'file'
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly name?: string | undefined
}

export interface MessageWithBytes {
  readonly role: 'user'
  readonly content: readonly (MessagePart | FileBytesPart)[]
}

/** A request of the host's own code: its messages may bring files. */
export type WithFiles<T> = Omit<T, 'messages'> & { readonly messages?: readonly (Message | MessageWithBytes)[] | undefined }

interface Request {
  readonly messages?: readonly (Message | MessageWithBytes)[] | undefined
  readonly session?: string | undefined
  readonly owner?: string | undefined
  readonly id?: string | undefined
}

export interface GivenFilesOptions extends SessionStores {
  readonly uploads: Pick<Uploads, 'keep'>
  readonly runs: Pick<Runs, 'find'>
  readonly newId: () => string
}

/** Rejects with `invalid_request`, and as `uploads.keep` does. */
export async function keepFiles<T extends Request>(
  options: GivenFilesOptions,
  request: T,
): Promise<Omit<T, 'messages'> & { readonly messages?: readonly Message[] | undefined }> {
  const { messages = [], id } = request
  if (!messages.some(({ content }) => typeof content !== 'string' && content.some(isBytes)))
    return request as Omit<T, 'messages'> & { messages?: readonly Message[] }
  // The same id again is the same run, in the same session.
  const session = request.session ?? (id === undefined ? undefined : (await options.runs.find(id))?.session) ?? (await create())
  const named: Message[] = []
  for (const { role, content } of messages)
    named.push({ role, content: typeof content === 'string' ? content : await Promise.all(content.map(keep)) })
  return { ...request, session, messages: named }

  async function create(): Promise<string> {
    const created = options.newId()
    await createSession(options, created, request.owner)
    return created
  }

  async function keep(part: MessagePart | FileBytesPart): Promise<MessagePart> {
    if (!isBytes(part)) return part
    const { bytes, mediaType } = part
    if (!(bytes instanceof Uint8Array) || !mediaTypePattern.test(mediaType))
      throw new MillraceError('invalid_request', {
        message: 'A file has `bytes`, a Uint8Array, and a `mediaType` such as image/png.',
      })
    const name = cleanName(part.name)
    const file = {
      session: session as string,
      by: 'host',
      mediaType: mediaType.toLowerCase(),
      ...(name !== undefined && { name }),
      bytes,
    }
    return { type: 'file', file: await options.uploads.keep(file) }
  }
}

function isBytes(part: MessagePart | FileBytesPart): part is FileBytesPart {
  return part.type === 'file' && 'bytes' in part
}
