/** What a reader names and asks for, of any transport: a session or a channel, from a position on. */
import { MillraceError, type Position, type Source } from '@millrace/protocol'
import type { z } from 'zod'
import type { Authorize } from '../access/authorize.ts'
import type { Caller } from '../access/caller.ts'
import { type Channels, channelLog } from '../channels/channels.ts'
import type { DeliveryOptions } from '../delivery/wire.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { channelDialect, sessionDialect } from '../dialects/native.ts'
import type { Engine } from '../log/log.ts'
import { resolveStart } from '../sessions/positions.ts'
import { type UnreadableLog, unreadPosition } from '../transports/logs.ts'
import type { reading } from './schemas.ts'

export interface Reading extends Required<DeliveryOptions> {
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
  const after = await resolveStart(engine, log, from)
  return { source, log, after, dialect: channel === undefined ? sessionDialect : channelDialect, slow, intervalMs: interval }
}

/**
 * Several logs at once, sessions before channels, each settled by itself: one that cannot be read has its error in place of
 * a position. Throws where none can be read, and where an engine failed, so that the client asks for all of them again.
 */
export async function openReadings(
  context: ReadingContext,
  caller: Caller,
  { sessions, channels, from, slow, interval }: SeveralLogs,
  connect: (log: string) => void,
): Promise<(Reading | UnreadableLog)[]> {
  const named = [...sessions.map((session) => ({ session })), ...channels.map((channel) => ({ channel }))]
  if (new Set(named.map((source) => JSON.stringify(source))).size < named.length)
    throw new MillraceError('invalid_request', { message: 'A log is named twice; name each session and channel once.' })
  const positions = from === 'start' || from === 'now' ? named.map(() => from) : from.split(',')
  if (positions.length !== named.length) throw new MillraceError('position_invalid')
  const opened = await Promise.allSettled(
    named.map((source, index) => {
      const position = positions[index] as string
      return openReading(
        context,
        caller,
        { ...source, slow, interval, from: position === unreadPosition ? 'start' : position },
        connect,
      )
    }),
  )
  const failures = opened.filter((result) => result.status === 'rejected').map(({ reason }) => reason)
  const inside = failures.find((reason) => !(reason instanceof MillraceError) || reason.retryable)
  if (inside !== undefined || failures.length === named.length) throw inside ?? failures[0]
  return opened.map((result, index) => {
    if (result.status === 'fulfilled') return result.value
    const isKnown = positions[index] === unreadPosition
    return { source: named[index] as Source, error: result.reason as MillraceError, isKnown }
  })
}

interface SeveralLogs extends Pick<z.output<typeof reading>, 'from' | 'slow' | 'interval'> {
  readonly sessions: readonly string[]
  readonly channels: readonly string[]
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
