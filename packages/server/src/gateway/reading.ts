/** Opens what a client of any transport asks to read: a session or a channel, from a position on. */
import { MillraceError, type Position, type Source } from '@millrace/protocol'
import type { z } from 'zod'
import type { Check } from '../access/authorize.ts'
import type { Caller, Principal } from '../access/caller.ts'
import { hides, untilNext } from '../access/hiding.ts'
import { type Channels, channelLog } from '../channels/channels.ts'
import { withoutHistory } from '../channels/history.ts'
import type { Dialects } from '../dialects/dialect.ts'
import type { Engine } from '../log/log.ts'
import type { Attachment, Observer } from '../operations/observer.ts'
import { traceAttach } from '../operations/traces.ts'
import type { OpenLog } from '../runs/recovery.ts'
import { requirePosition, resolveStart } from '../sessions/positions.ts'
import { type ReadableLog, type UnreadableLog, unreadPosition } from '../transports/transport.ts'
import type { reading } from './schemas.ts'

export interface ReadingContext {
  readonly engine: Engine
  readonly openLog: OpenLog
  readonly channels: Channels
  readonly authorize: Check
  /** An answer that hides something comes at a multiple of this time. */
  readonly hidingMs: number
  readonly dialects: Dialects
  /** Whether a reader gets what was published in a channel before it came. */
  readonly mayReadHistory: (principal: Principal, channel: string) => boolean
  readonly observer: Observer
}

interface ReadRequest extends z.output<typeof reading> {
  /** Of a session; default `session`. */
  readonly shape?: string | undefined
  /** Finds where the reader would start, and creates nothing. */
  readonly isHead?: boolean
}

/** Takes the reader's place. Throws `too_many_connections` and `too_many_attachments`. */
type Reserve = (log: string) => void

/**
 * Authorizes the reader, reserves its place, then creates the channel unless `isHead`. Throws as `reserve`, `requireReadable` and
 * `resolveStart` do.
 */
export async function openReading(
  context: ReadingContext,
  caller: Caller,
  request: ReadRequest,
  reserve: Reserve,
): Promise<ReadableLog> {
  const found = await requireReadable(context.authorize, caller, request, request.from)
  reserve(found.log)
  return openObserved(context, caller, found, request)
}

/**
 * Several logs at once, sessions before channels. All places are reserved before any channel is created. A log that cannot be
 * read has its error in place of a position. Throws where none can be read, and where an engine failed, so that the client
 * asks for all of them again.
 */
export async function openReadings(
  context: ReadingContext,
  caller: Caller,
  { sessions, channels, from, ...shared }: SeveralLogs,
  reserve: Reserve,
): Promise<(ReadableLog | UnreadableLog)[]> {
  const named = [...sessions.map((session) => ({ session })), ...channels.map((channel) => ({ channel }))]
  if (new Set(named.map((source) => JSON.stringify(source))).size < named.length)
    throw new MillraceError('invalid_request', { message: 'A log is named twice; name each session and channel once.' })
  const positions = from === 'start' || from === 'now' ? named.map(() => from) : from.split(',')
  if (positions.length !== named.length) throw new MillraceError('position_invalid')
  const startedAt = performance.now()
  const found = await Promise.allSettled(
    named.map(async (source, index) => requireReadable(context.authorize, caller, source, startOf(positions[index]))),
  )
  const reserved = await Promise.allSettled(
    found.map(async (result) => {
      if (result.status === 'rejected') throw result.reason
      reserve(result.value.log)
      return result.value
    }),
  )
  requireSome(reserved)
  const opened = await Promise.allSettled(
    reserved.map(async (result, index) => {
      if (result.status === 'rejected') throw result.reason
      return openObserved(context, caller, result.value, { ...named[index], ...shared, from: startOf(positions[index]) })
    }),
  )
  requireSome(opened)
  if (opened.some((result) => result.status === 'rejected' && hides(result.reason))) await untilNext(startedAt, context.hidingMs)
  return opened.map((result, index) => {
    if (result.status === 'fulfilled') return result.value
    const isKnown = positions[index] === unreadPosition
    return { source: named[index] as Source, error: result.reason as MillraceError, isKnown }
  })
}

function startOf(position = 'start'): string {
  return position === unreadPosition ? 'start' : position
}

/** Throws an error that may pass, or is the server's, before others; where every log failed, the first. */
function requireSome(results: readonly PromiseSettledResult<unknown>[]): void {
  const errors = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason)
  const passing = errors.find((error) => !(error instanceof MillraceError) || error.retryable)
  if (passing !== undefined || errors.length === results.length) throw passing ?? errors[0]
}

function openObserved(context: ReadingContext, caller: Caller, found: Found, request: ReadRequest): Promise<ReadableLog> {
  const open = () => openFound(context, caller.principal, found, request)
  if (request.isHead) return open()
  const kind = request.channel === undefined ? 'session' : 'channel'
  const isResume = request.from !== 'start' && request.from !== 'now'
  const attachment = { kind, log: found.log, principal: caller.principal.id, isResume } as const
  return observeAttach(context.observer, attachment, open, request.slow === 'latest')
}

/** Reports whether a reader could be attached. */
export async function observeAttach<T>(
  { attached }: Observer,
  attachment: Omit<Attachment, 'result' | 'code'>,
  open: () => Promise<T>,
  skips = false,
): Promise<T> {
  try {
    const opened = await traceAttach(attachment, open)
    attached?.({ ...attachment, result: skips && attachment.isResume ? 'gap' : 'exact' })
    return opened
  } catch (error) {
    attached?.({ ...attachment, result: 'error', code: error instanceof MillraceError ? error.code : 'internal' })
    throw error
  }
}

async function openFound(
  { engine, openLog, channels, dialects, mayReadHistory }: ReadingContext,
  principal: Principal,
  { source, log }: Found,
  { channel, from, slow, interval, shape = 'session', isHead = false }: ReadRequest,
): Promise<ReadableLog> {
  // Readers of a channel often arrive before its first publisher.
  if (channel !== undefined && !isHead) await channels.open(channel)
  const isMissing = channel !== undefined && isHead && (await engine.inspect(log)) === undefined
  const start = isMissing ? resolveMissing(from) : await resolveStart({ engine, openLog }, log, from)
  const isBounded = channel !== undefined && !isMissing && !mayReadHistory(principal, channel)
  const after = isBounded ? await withoutHistory(engine, log, { from, after: start }) : start
  const dialect = channel === undefined ? (dialects.session[shape] ?? dialects.session.session) : dialects.channel
  return { source, log, after, dialect, slow, intervalMs: interval }
}

/** As if the channel had just been created. */
function resolveMissing(from: string): Position {
  if (from !== 'start' && from !== 'now') {
    requirePosition(from)
    throw new MillraceError('position_foreign')
  }
  return { epoch: '', offset: 0 }
}

interface SeveralLogs extends Pick<ReadRequest, 'from' | 'slow' | 'interval' | 'shape' | 'isHead'> {
  readonly sessions: readonly string[]
  readonly channels: readonly string[]
}

export interface Named {
  readonly session?: string | undefined
  readonly channel?: string | undefined
}

/**
 * The named log, where the caller may read it. Throws as `authorize` does, `invalid_request` for both or neither, and for a
 * start that is not one `position_invalid`: whether the log exists or not.
 */
export async function requireReadable(authorize: Check, caller: Caller, named: Named, from = 'start'): Promise<Found> {
  const found = findSource(named)
  if (from !== 'start' && from !== 'now') requirePosition(from)
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

export function findSource({ session, channel }: Named): Found {
  if (session !== undefined && channel === undefined) return { source: { session }, log: session }
  if (channel !== undefined && session === undefined) return { source: { channel }, log: channelLog(channel) }
  throw new MillraceError('invalid_request', { message: 'Name one `session` or one `channel`; see PROTOCOL.md.' })
}
