/** The run that a client of TanStack AI goes on with, or joins. */
import { MillraceError } from '@millrace/protocol'
import type { Caller } from '../../../access/caller.ts'
import type { FaceContext } from '../../../gateway/face.ts'
import { authorizeRun } from '../../../gateway/run-access.ts'
import type { ReadableRun } from '../../../gateway/run-streams.ts'
import { parseFrameId } from '../../replay.ts'
import { idOfName } from '../../shared/id-of-name.ts'
import { findRunOfFrame } from '../../shared/readable-run.ts'

export interface Joined {
  readonly run: ReadableRun
  /** The last frame that the client has. */
  readonly frame?: string
}

/** By the last frame that the client has, or by the run's id: after an approval the client's name is no longer that of the run. */
export async function findJoined(context: FaceContext, caller: Caller, runId: string, offset: string): Promise<Joined> {
  const { authorize, runs } = context
  const { session } = parseFrameId(offset) ?? {}
  if (session !== undefined) {
    await authorize(caller, 'session.read', { session })
    return { run: await findRunOfFrame(context, session, offset), frame: offset }
  }
  if (offset !== '-1') throw new MillraceError('position_invalid')
  const id = idOfName(runId)
  await authorizeRun({ authorize, runs }, caller, { run: id }, 'session.read')
  const run = await runs.find(id)
  if (run === undefined) throw new MillraceError('run_not_found')
  return { run }
}
