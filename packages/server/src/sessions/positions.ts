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
export async function resolveStart(engine: Engine, session: string, from: string): Promise<Position> {
  const state = from === 'start' || from === 'now' ? await requireLog(engine, session) : await engine.inspect(session)
  if (from === 'start' && state !== undefined) return state.start
  if (from === 'now' && state !== undefined) return state.head
  const { epoch, offset, session: named = session } = requirePosition(from)
  if (state !== undefined && named !== session) throw new MillraceError('position_foreign')
  const after = { epoch, offset }
  // Whoever said how far the log has come may be one of a cluster that is behind: the engine takes its time before it refuses.
  if (epoch !== state?.head.epoch || offset > state.head.offset) await engine.read(session, after, { eventsMax: 1 })
  else if (offset < state.start.offset) throw new MillraceError('position_expired')
  return after
}
