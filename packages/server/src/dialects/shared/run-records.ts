/** Runs as their sessions have recorded them, for responses that are not streamed. */
import { MillraceError } from '@millrace/protocol'
import type { FaceContext } from '../../gateway/face.ts'
import type { Run } from '../../runs/run.ts'
import type { RunRecord } from '../../sessions/transcript.ts'

type RecordContext = Pick<FaceContext, 'transcripts'>

/** Rejects with `session_not_found` and `run_not_found`. */
export async function readRecord(
  { transcripts }: RecordContext,
  { session, run }: { readonly session: string; readonly run: string },
): Promise<RunRecord> {
  const transcript = await transcripts.read(session)
  if (transcript === undefined) throw new MillraceError('session_not_found')
  const record = transcript.runs.find((one) => one.run === run)
  if (record === undefined) throw new MillraceError('run_not_found')
  return record
}

/** A run that has ended, as it is recorded; undefined where the client has left before. */
export async function readEnded(context: RecordContext, run: Run, signal: AbortSignal): Promise<RunRecord | undefined> {
  const left = Promise.withResolvers<undefined>()
  const leave = () => left.resolve(undefined)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  try {
    if ((await Promise.race([run.ended, left.promise])) === undefined) return undefined
  } finally {
    signal.removeEventListener('abort', leave)
  }
  return readRecord(context, { session: run.session, run: run.id })
}
