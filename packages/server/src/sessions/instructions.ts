/** What the models of a session get before its conversation: a part of its record, which no reader of its events gets. */
import { limits, MillraceError } from '@millrace/protocol'
import { instructions } from './asked.ts'
import { requireLog } from './positions.ts'
import { type ChangeContext, changeRecord } from './record-changes.ts'

export interface Instructions {
  /** Null where there are none. Rejects with `session_not_found`. */
  read(session: string): Promise<string | null>
  /** Null removes them. Rejects with `session_not_found`. */
  set(session: string, text: string | null): Promise<void>
}

export function createInstructions({ openLog, records, owners }: ChangeContext): Instructions {
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
      await changeRecord({ openLog, records, owners }, session, (record) => {
        if (record.instructions === (text ?? undefined)) return undefined
        const { instructions: _replaced, ...rest } = record
        return text === null ? rest : { ...rest, instructions: text }
      })
    },
  }
}
