/** Runs that a client reads on. The caller has been authorized to read their session. */
import { MillraceError } from '@millrace/protocol'
import type { FaceContext } from '../../gateway/face.ts'
import type { ReadableRun } from '../../gateway/run-streams.ts'
import { requireLog } from '../../sessions/positions.ts'
import { parseFrameId } from '../replay.ts'
import { readRecord } from './run-records.ts'

type FindContext = Pick<FaceContext, 'engine' | 'openLog' | 'runs' | 'transcripts'>

/** Rejects with `session_not_found` and `run_not_found`. */
export async function findReadable(
  context: Omit<FindContext, 'engine'>,
  { session, run }: { readonly session: string; readonly run: string },
): Promise<ReadableRun> {
  const known = await context.runs.find(run)
  if (known?.session === session) return known
  const { start } = await requireLog(context.openLog, session)
  await readRecord(context, { session, run })
  // This server does not know where it began: it is looked for from the oldest event on.
  return { id: run, session, start }
}

/** The run whose frame it is: the event of the frame names it. Rejects as `findReadable` does, and with the errors of positions. */
export async function findRunOfFrame(context: FindContext, session: string, frame: string): Promise<ReadableRun> {
  const position = parseFrameId(frame)
  if (position === undefined || position.offset === 0) throw new MillraceError('position_invalid')
  if ((position.session ?? session) !== session) throw new MillraceError('position_foreign')
  const { epoch, offset } = position
  const [event] = (await context.engine.read(session, { epoch, offset: offset - 1 }, { eventsMax: 1 })).events
  const { run } = (event?.data ?? {}) as { readonly run?: string }
  if (run === undefined || event?.offset !== offset) throw new MillraceError('position_expired')
  return findReadable(context, { session, run })
}
