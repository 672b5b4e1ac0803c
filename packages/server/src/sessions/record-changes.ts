/** Changes a part of a session's record, also of a session that had none, and keeps its owner. */
import type { OpenLog } from '../runs/recovery.ts'
import type { SessionOwners } from './owners.ts'
import { requireLog } from './positions.ts'
import type { Records, SessionRecord } from './records.ts'

export interface ChangeContext {
  readonly openLog: OpenLog
  readonly records: Pick<Records, 'change' | 'find' | 'delete'>
  readonly owners: Pick<SessionOwners, 'ownerOf'>
}

/** Undefined leaves the record. Rejects with `session_not_found`. */
export async function changeRecord(
  { openLog, records, owners }: ChangeContext,
  session: string,
  change: (record: SessionRecord) => SessionRecord | undefined,
): Promise<void> {
  await requireLog(openLog, session)
  // Retention may have removed the record of an owned session: a new one without its owner would make it everybody's.
  const owner = (await owners.ownerOf(session)) ?? undefined
  await records.change(session, (before) => change(before ?? { shares: [], ...(owner !== undefined && { owner }) }))
  try {
    await requireLog(openLog, session)
  } catch (error) {
    // It was deleted meanwhile, and that deletion may have seen no record.
    await records.delete(session)
    throw error
  }
}
