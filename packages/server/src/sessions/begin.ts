/** Where a reader begins: checks a position against its session's log before a single byte is sent. */
import { MillraceError, type Position, parsePosition, type QualifiedPosition } from '@millrace/protocol'
import type { Engine, LogState } from '../log/log.ts'

/** Throws `position_invalid` for what is not a position. */
export function requirePosition(token: string): QualifiedPosition {
  const position = parsePosition(token)
  if (position === undefined) throw new MillraceError('position_invalid')
  return position
}

/** Throws `session_not_found`. */
export async function requireLog(engine: Engine, session: string): Promise<LogState> {
  const state = await engine.inspect(session)
  if (state === undefined) throw new MillraceError('session_not_found')
  return state
}

/**
 * The position to read on after: `start` is the oldest event kept, `now` the newest, anything else a
 * token. Throws the four refusals of PROTOCOL.md#positions, and `session_not_found`.
 */
export async function begin(engine: Engine, session: string, from: string): Promise<Position> {
  const { start, head } = await requireLog(engine, session)
  if (from === 'start') return start
  if (from === 'now') return head
  const { epoch, offset, session: named = session } = requirePosition(from)
  if (named !== session || epoch !== head.epoch) throw new MillraceError('position_foreign')
  if (offset > head.offset) throw new MillraceError('position_ahead')
  if (offset < start.offset) throw new MillraceError('position_expired')
  return { epoch, offset }
}
