/** What the models of a session get before its conversation: a part of its record, which no reader of its events gets. */
import { limits, MillraceError } from '@millrace/protocol'
import type { OpenLog } from '../runs/recovery.ts'
import { instructions } from './asked.ts'
import type { SessionOwners } from './owners.ts'
import { requireLog } from './positions.ts'
import type { Records } from './records.ts'

export interface Instructions {
  /** Null where there are none. Rejects with `session_not_found`. */
  read(session: string): Promise<string | null>
  /** Null removes them. Rejects with `session_not_found`. */
  set(session: string, text: string | null): Promise<void>
}

export interface InstructionsOptions {
  readonly openLog: OpenLog
  readonly records: Pick<Records, 'change' | 'find' | 'delete'>
  readonly owners: Pick<SessionOwners, 'ownerOf'>
}

export function createInstructions({ openLog, records, owners }: InstructionsOptions): Instructions {
  return {
    async read(session) {
      await requireLog(openLog, session)
      return (await records.find(session))?.instructions ?? null
    },
    async set(session, text) {
      if (text !== null && !instructions.safeParse(text).success)
        throw new MillraceError('invalid_request', {
          message: `Instructions have 1 to ${limits.instructionsLengthMax} characters.`,
        })
      await requireLog(openLog, session)
      // Retention may have removed the record of an owned session: a new one without its owner would make it everybody's.
      const owner = (await owners.ownerOf(session)) ?? undefined
      await records.change(session, (before) => {
        if (before?.instructions === (text ?? undefined)) return undefined
        const { instructions: _replaced, ...rest } = before ?? { shares: [], ...(owner !== undefined && { owner }) }
        return text === null ? rest : { ...rest, instructions: text }
      })
      try {
        await requireLog(openLog, session)
      } catch (error) {
        // It was deleted meanwhile, and that deletion may have seen no record.
        await records.delete(session)
        throw error
      }
    },
  }
}
