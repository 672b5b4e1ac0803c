/** Asks a question whose files come with it: they are kept in its session first, as every reader of it gets them there. */
import { MillraceError } from '@millrace/protocol'
import type { Caller } from '../../access/caller.ts'
import { type AskInput, prepareAsk } from '../../gateway/asking.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { Run } from '../../runs/run.ts'
import { bytesIn, requireFiles, startWithFiles } from '../shared/asked-files.ts'
import type { GivenMessage } from './files.ts'

/** `id`: of the run. Rejects as `prepareAsk` does; the returned function starts the run. */
export async function prepareQuestion(
  context: FaceContext,
  caller: Caller,
  input: AskInput & { readonly id: string },
  messages: readonly GivenMessage[],
): Promise<() => Promise<Run>> {
  const { runs, engine, newId, history } = context
  const { session: named, id } = input
  const files = bytesIn(messages)
  const start = await prepareAsk(context, caller, input)
  if (files.length === 0) return start
  await requireFiles(context, caller, files, named)
  return async () => {
    // A request that is sent again keeps nothing again.
    const known = await runs.find(id)
    if (known !== undefined) return known
    if (named !== undefined && (await engine.inspect(named)) === undefined) throw new MillraceError('session_not_found')
    const session = named ?? newId()
    const prepare = (kept: AskInput['messages']) => prepareAsk(context, caller, { ...input, session, messages: kept })
    const asked = startWithFiles(context, caller, { session, exists: named !== undefined, messages, prepare })
    return asked.catch(async (error: unknown) => {
      // A question that is rejected leaves no session.
      if (named === undefined) await history.delete(session).catch(() => {})
      throw error
    })
  }
}
