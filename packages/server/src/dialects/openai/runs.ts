/** Runs of other requests, by the ids that clients have of them. */
import { MillraceError } from '@millrace/protocol'
import type { Caller } from '../../access/caller.ts'
import type { FaceContext } from '../../gateway/face.ts'
import type { RunRecord } from '../../sessions/transcript.ts'
import { parseId, type RunName } from './ids.ts'

/** The run that an id names, which need not exist; the caller may read its session. Rejects with `run_not_found`, and as `authorize` does. */
export async function requireRunName(
  { authorize }: Pick<FaceContext, 'authorize'>,
  caller: Caller,
  prefix: 'chatcmpl' | 'resp',
  id: string,
): Promise<RunName> {
  const name = parseId(prefix, id)
  if (name === undefined) throw new MillraceError('run_not_found')
  await authorize(caller, 'session.read', { session: name.session })
  return name
}

/** Rejects with the error of a run that has none but an error to answer. */
export function requireAnswer({ status, error }: Pick<RunRecord, 'status' | 'error'>): void {
  if (status === 'failed') throw new MillraceError(error?.code ?? 'internal', { ...(error && { message: error.message }) })
  if (status === 'interrupted') throw new MillraceError('server_stopping')
}
