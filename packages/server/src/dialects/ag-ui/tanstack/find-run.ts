/** The run that a client of TanStack AI goes on with, or joins. */
import { MillraceError } from '@millrace/protocol'
import type { Caller } from '../../../access/caller.ts'
import type { FaceContext } from '../../../gateway/face.ts'
import { authorizeRun } from '../../../gateway/run-access.ts'
import type { ReadableRun } from '../../../gateway/run-streams.ts'
import { requireLog } from '../../../sessions/positions.ts'
import { parseFrameId } from '../../replay.ts'
import { idOfName } from '../../shared/id-of-name.ts'

export interface Joined {
  readonly run: ReadableRun
  /** The last frame that the client has. */
  readonly frame?: string
}

/** By the id of the run, or by the last frame that the client has: a run that goes on with another has two names. */
export async function findJoined(context: FaceContext, caller: Caller, runId: string, offset: string): Promise<Joined> {
  const { authorize, runs } = context
  const { session } = parseFrameId(offset) ?? {}
  if (session !== undefined) {
    await authorize(caller, 'session.read', { session })
    return { run: await findRunOf(context, session, offset), frame: offset }
  }
  if (offset !== '-1') throw new MillraceError('position_invalid')
  const id = idOfName(runId)
  await authorizeRun({ authorize, runs }, caller, { run: id }, 'session.read')
  const run = await runs.find(id)
  if (run === undefined) throw new MillraceError('run_not_found')
  return { run }
}

/** The run whose frame it is. The caller has been authorized to read the session. */
export async function findRunOf(context: FaceContext, session: string, frame: string): Promise<ReadableRun> {
  const position = parseFrameId(frame)
  if (position === undefined || position.offset === 0) throw new MillraceError('position_invalid')
  if ((position.session ?? session) !== session) throw new MillraceError('position_foreign')
  const { epoch, offset } = position
  const [event] = (await context.engine.read(session, { epoch, offset: offset - 1 }, { eventsMax: 1 })).events
  const { run: id } = (event?.data ?? {}) as { readonly run?: string }
  if (id === undefined || event?.offset !== offset) throw new MillraceError('position_expired')
  const known = await context.runs.find(id)
  if (known?.session === session) return known
  // Of a run that this server no longer knows: its beginning is somewhere in what is kept.
  return { id, session, start: (await requireLog(context.openLog, session)).start }
}
