/** Files that a question brings as bytes: after every check they are kept in its session, and the question names them. */
import type { Message, MessagePart } from '@millrace/protocol'
import { requireAction } from '../../access/authorize.ts'
import type { Caller } from '../../access/caller.ts'
import { ownerOf } from '../../access/ownership.ts'
import { readMediaType } from '../../files/media-types.ts'
import { type AskInput, prepareAskIn } from '../../gateway/asking.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { Run } from '../../runs/run.ts'
import { checkAsked } from '../../sessions/asked.ts'
import { createSession } from '../../sessions/create-session.ts'
import { type FileBytesPart, keepFiles, type MessageWithBytes } from '../../sessions/given-files.ts'

type Messages = readonly (Message | MessageWithBytes)[]

export function bytesIn(messages: Messages): readonly FileBytesPart[] {
  const parts = messages.flatMap(({ content }): readonly (MessagePart | FileBytesPart)[] =>
    typeof content === 'string' ? [] : content,
  )
  return parts.filter(isBytes)
}

export function isBytes(part: MessagePart | FileBytesPart): part is FileBytesPart {
  return 'bytes' in part
}

/** `session`: undefined for one that is about to be created. Rejects with `file_type_not_allowed`, and as `authorize` does. */
export async function requireFiles(
  { authorize, fileTypes }: Pick<FaceContext, 'authorize' | 'fileTypes'>,
  caller: Caller,
  files: readonly FileBytesPart[],
  session: string | undefined,
): Promise<void> {
  for (const { mediaType } of files) readMediaType(mediaType, fileTypes)
  if (session === undefined) requireAction(caller.principal, 'file.upload')
  else await authorize(caller, 'file.upload', { session })
}

/** The messages with their bytes replaced by the names of files that the session now has. */
export async function keepNamed(context: FaceContext, session: string, messages: Messages): Promise<AskInput['messages']> {
  const { messages: kept } = await keepFiles(context, { session, messages })
  return checkMessages(kept ?? [])
}

/** For messages without bytes. */
export function checkMessages(messages: Messages): AskInput['messages'] {
  return checkAsked({ messages: messages as readonly Message[] }).messages as AskInput['messages']
}

interface AskedWithFiles {
  readonly session: string
  /** Else the session is created first. */
  readonly exists: boolean
  readonly messages: Messages
  readonly prepare: (messages: AskInput['messages']) => Promise<() => Promise<Run>>
}

/** Keeps the files of a question in its session, and asks with their names. Every check comes before. */
export async function startWithFiles(
  context: FaceContext,
  caller: Caller,
  { session, exists, messages, prepare }: AskedWithFiles,
): Promise<Run> {
  if (!exists) await createSession(context, session, ownerOf(caller.principal))
  const start = await prepare(await keepNamed(context, session, messages))
  return start()
}

/**
 * As `prepareAskIn`, with messages that may bring files. The same id again attaches to its run without comparing the files: they
 * would be kept twice.
 */
export async function prepareAskWith(
  context: FaceContext,
  caller: Caller,
  input: AskInput & { readonly session: string },
  messages: Messages,
): Promise<() => Promise<Run>> {
  const { session, id } = input
  const prepare = (asked: Pick<AskInput, 'query' | 'messages'>) => prepareAskIn(context, caller, { ...input, ...asked })
  const files = bytesIn(messages)
  if (files.length === 0) return prepare({ messages: checkMessages(messages) })
  const known = id === undefined ? undefined : await context.runs.find(id)
  if (known?.session === session) {
    await context.authorize(caller, 'session.read', { session })
    return async () => known
  }
  const exists = (await context.engine.inspect(session)) !== undefined
  await requireFiles(context, caller, files, exists ? session : undefined)
  await prepare({ query: 'x' })
  return () => startWithFiles(context, caller, { session, exists, messages, prepare: (named) => prepare({ messages: named }) })
}
