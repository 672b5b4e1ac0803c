/** Another token for an open connection, whose own expires: PROTOCOL.md#renewal. */
import { MillraceError } from '@millrace/protocol'
import type { Check } from '../access/authorize.ts'
import type { Caller } from '../access/caller.ts'
import { channelOf } from '../channels/channels.ts'
import type { Connection } from '../transports/connection.ts'

/**
 * The caller has the new token. Rejects with `forbidden` where it is another one, with `token_expired`, and as `authorize` does where it may not
 * read what the connection reads. Nothing else changes: readers stay where they are.
 */
export async function renewConnection(authorize: Check, connection: Connection, caller: Caller): Promise<void> {
  if (!connection.belongsTo(caller.principal))
    throw new MillraceError('forbidden', { message: 'The token is of another user; open another connection with it.' })
  // In its leeway it still opens connections; as a renewal it would be asked for again at once.
  if ((caller.principal.expiresAt ?? Number.POSITIVE_INFINITY) <= Date.now()) throw new MillraceError('token_expired')
  for (const log of connection.logs) {
    const channel = channelOf(log)
    if (channel === undefined) await authorize(caller, 'session.read', { session: log })
    else await authorize(caller, 'channel.read', { session: undefined, channel })
  }
  connection.renew(caller.principal)
}
