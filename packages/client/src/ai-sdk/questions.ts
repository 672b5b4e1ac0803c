/** What a user wrote in a message of the AI SDK; its files are uploaded to the session first. */
import type { FilePart, Message, TextPart } from '@millrace/protocol'
import type { FileUIPart, UIMessage } from 'ai'
import { upload } from '../files/index.ts'
import type { Session } from '../session.ts'

export type Question = { readonly query: string } | { readonly messages: readonly Message[] }

/** Rejects with a TypeError for a part that a question cannot have, and as `upload` does. */
export async function toQuestion(session: Session, { parts }: UIMessage, signal?: AbortSignal): Promise<Question> {
  const content = await Promise.all(parts.map((part) => toContent(session, part, signal)))
  const [first] = content
  if (content.length === 1 && first?.type === 'text') return { query: first.text }
  return { messages: [{ role: 'user', content }] }
}

async function toContent(
  session: Session,
  part: UIMessage['parts'][number],
  signal: AbortSignal | undefined,
): Promise<TextPart | FilePart> {
  if (part.type === 'text') return { type: 'text', text: part.text }
  if (part.type === 'file') return { type: 'file', file: await positionOf(session, part, signal) }
  throw new TypeError(`A question cannot have a part of type "${part.type}".`)
}

/** Of a file that is in the session already, as of a message that is edited, or that was just uploaded. */
async function positionOf(session: Session, { url, filename, mediaType }: FileUIPart, signal?: AbortSignal): Promise<string> {
  const known = session.fileUrl('')
  if (url.startsWith(known)) return decodeURIComponent(url.slice(known.length))
  // Those of an input field are data: addresses.
  const file = await (await fetch(url, { signal: signal ?? null })).blob()
  return (await upload(session, file, { name: filename, mediaType, signal })).position
}
