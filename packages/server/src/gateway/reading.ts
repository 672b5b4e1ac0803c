/** What a reader names and asks for, of any transport: a session or a channel, from a position on. */
import { MillraceError, type Position, type Source } from '@millrace/protocol'
import type { z } from 'zod'
import type { Caller } from '../access/caller.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { channelDialect, sessionDialect } from '../dialects/native.ts'
import type { Engine } from '../log/log.ts'
import type { Appetite } from '../log/wire.ts'
import { begin } from '../sessions/begin.ts'
import { type Channels, channelLog } from '../sessions/channels.ts'
import type { Authorize } from './authorize.ts'
import type { reading } from './schemas.ts'

export interface Reading extends Required<Appetite> {
  readonly source: Source
  readonly log: string
  readonly after: Position
  readonly dialect: Dialect
}

export interface ReadingContext {
  readonly engine: Engine
  readonly channels: Channels
  readonly authorize: Authorize
}

/**
 * Authorized, and found. `connect` takes the reader's place, before a channel is made for it. Throws as it, `requireReadable`
 * and `begin` do.
 */
export async function openReading(
  { engine, channels, authorize }: ReadingContext,
  caller: Caller,
  { session, channel, from, slow, interval }: z.output<typeof reading>,
  connect: (log: string) => void,
): Promise<Reading> {
  const { source, log } = await requireReadable(authorize, caller, { session, channel })
  connect(log)
  // Whoever listens is often there before anybody has said something.
  if (channel !== undefined) await channels.open(channel)
  const after = await begin(engine, log, from)
  return { source, log, after, dialect: channel === undefined ? sessionDialect : channelDialect, slow, intervalMs: interval }
}

interface Named {
  readonly session?: string | undefined
  readonly channel?: string | undefined
}

/** What is named, for whoever may read it. Throws as `authorize` does, and `invalid_request` for both or neither. */
export async function requireReadable(authorize: Authorize, caller: Caller, named: Named): Promise<Found> {
  const found = findSource(named)
  await authorize(caller, named.channel === undefined ? 'session.read' : 'channel.read', {
    session: named.session,
    ...found.source,
  })
  return found
}

interface Found {
  readonly source: Source
  readonly log: string
}

function findSource({ session, channel }: Named): Found {
  if (session !== undefined && channel === undefined) return { source: { session }, log: session }
  if (channel !== undefined && session === undefined) return { source: { channel }, log: channelLog(channel) }
  throw new MillraceError('invalid_request', { message: 'Name one `session` or one `channel`; see PROTOCOL.md.' })
}
