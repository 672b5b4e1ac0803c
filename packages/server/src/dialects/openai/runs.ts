/** Runs of other requests, by the ids that clients have of them. */
import { MillraceError } from '@millrace/protocol'
import type { Caller } from '../../access/caller.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { ReadableRun } from '../../gateway/run-streams.ts'
import { requireLog } from '../../sessions/positions.ts'
import type { RunRecord } from '../../sessions/transcript.ts'
import { readRecord } from '../shared/run-records.ts'
import { parseId } from './ids.ts'

/** Rejects with `run_not_found`, and as `authorize` does. */
export async function findRun(
  { authorize, openLog, runs, transcripts }: Pick<FaceContext, 'authorize' | 'openLog' | 'runs' | 'transcripts'>,
  caller: Caller,
  prefix: 'chatcmpl' | 'resp',
  id: string,
): Promise<ReadableRun & { readonly record: RunRecord }> {
  const name = parseId(prefix, id)
  if (name === undefined) throw new MillraceError('run_not_found')
  const { session, run } = name
  await authorize(caller, 'session.read', { session })
  const { start: kept } = await requireLog(openLog, session)
  const record = await readRecord({ transcripts }, name)
  const known = await runs.find(run)
  // Its beginning is kept, as it is in the transcript.
  return { id: run, session, start: known?.session === session ? known.start : kept, record }
}

/** Rejects with the error of a run that has none but an error to answer. */
export function requireAnswer({ status, error }: Pick<RunRecord, 'status' | 'error'>): void {
  if (status === 'failed') throw new MillraceError(error?.code ?? 'internal', { ...(error && { message: error.message }) })
  if (status === 'interrupted') throw new MillraceError('server_stopping')
}
