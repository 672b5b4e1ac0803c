/** Where a reader without the history of a channel begins: with the next event, or after a lost connection where it was. */
import { MillraceError, type Position } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'

/** How long a reader may have been away: clients reconnect within seconds, and a long-poll asks again at once. */
const awayMsMax = 2 * 60_000

/** `from` was resolved to `after`. Throws `position_expired` for what the reader may not have seen. */
export async function withoutHistory(
  engine: Engine,
  log: string,
  { from, after, now = Date.now() }: { readonly from: string; readonly after: Position; readonly now?: number },
): Promise<Position> {
  if (from === 'now') return after
  if (from === 'start') return (await engine.inspect(log))?.head ?? after
  const { events } = await engine.read(log, after, { eventsMax: 1 })
  if ((events[0]?.time ?? now) < now - awayMsMax) throw new MillraceError('position_expired')
  return after
}
