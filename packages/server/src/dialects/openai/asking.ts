/** Asks a question whose files come with it: they are kept in its session first, as every reader of it gets them there. */
import { MillraceError } from '@millrace/protocol'
import { requireAction } from '../../access/authorize.ts'
import type { Caller } from '../../access/caller.ts'
import { ownerOf } from '../../access/ownership.ts'
import { readMediaType } from '../../files/media-types.ts'
import { type AskInput, prepareAsk } from '../../gateway/asking.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { Run } from '../../runs/run.ts'
import { checkAsked } from '../../sessions/asked.ts'
import { createSession } from '../../sessions/create-session.ts'
import { keepFiles } from '../../sessions/given-files.ts'
import { filesOfMessages, type GivenMessage } from './files.ts'

/** `id`: of the run. Rejects as `prepareAsk` does; the returned function starts the run. */
export async function prepareQuestion(
  context: FaceContext,
  caller: Caller,
  input: AskInput & { readonly id: string },
  messages: readonly GivenMessage[],
): Promise<() => Promise<Run>> {
  const { authorize, fileTypes, runs, engine, newId, history } = context
  const { session: named, id } = input
  const files = filesOfMessages(messages)
  const start = await prepareAsk(context, caller, input)
  if (files.length === 0) return start
  for (const { mediaType } of files) readMediaType(mediaType, fileTypes)
  if (named === undefined) requireAction(caller.principal, 'file.upload')
  else await authorize(caller, 'file.upload', { session: named })
  return async () => {
    // A request that is sent again keeps nothing again.
    const known = await runs.find(id)
    if (known !== undefined) return known
    if (named !== undefined && (await engine.inspect(named)) === undefined) throw new MillraceError('session_not_found')
    const session = named ?? newId()
    if (named === undefined) await createSession(context, session, ownerOf(caller.principal))
    try {
      const kept = await keepFiles(context, { session, messages })
      const asked = checkAsked({ messages: kept.messages }).messages as AskInput['messages']
      return await (await prepareAsk(context, caller, { ...input, session, messages: asked }))()
    } catch (error) {
      // A question that is rejected leaves no session.
      if (named === undefined) await history.delete(session).catch(() => {})
      throw error
    }
  }
}
