/** Where a reader starts: opens its log and checks its position before a byte is sent. */
import { MillraceError, type Position, parsePosition, type QualifiedPosition } from '@millrace/protocol'
import type { Engine, LogState } from '../log/log.ts'
import type { OpenLog } from '../runs/recovery.ts'

/** Throws `position_invalid` for what is not a position. */
export function requirePosition(token: string): QualifiedPosition {
  const position = parsePosition(token)
  if (position === undefined) throw new MillraceError('position_invalid')
  return position
}

/** Opens a log that must exist. Throws `session_not_found`. */
export async function requireLog(openLog: OpenLog, log: string): Promise<LogState> {
  const state = await openLog(log)
  if (state === undefined) throw new MillraceError('session_not_found')
  return state
}

export interface LogAccess {
  readonly engine: Engine
  readonly openLog: OpenLog
}

/**
 * Opens a log and resolves the position to read after: `start` is before the oldest event kept, `now` is the newest,
 * anything else is a token. Throws the four errors of PROTOCOL.md#positions, and `session_not_found`.
 */
export async function resolveStart({ engine, openLog }: LogAccess, log: string, from: string): Promise<Position> {
  const state = from === 'start' || from === 'now' ? await requireLog(openLog, log) : await openLog(log)
  if (from === 'start' && state !== undefined) return state.start
  if (from === 'now' && state !== undefined) return state.head
  const { epoch, offset, session: named = log } = requirePosition(from)
  if (state !== undefined && named !== log) throw new MillraceError('position_foreign')
  const after = { epoch, offset }
  // The state may come from a server of the engine's cluster that lags behind: `read` waits for the others before it rejects.
  if (epoch !== state?.head.epoch || offset > state.head.offset) await engine.read(log, after, { eventsMax: 1 })
  else if (offset < state.start.offset) throw new MillraceError('position_expired')
  return after
}
