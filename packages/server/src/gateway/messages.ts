/** What the messages of a WebSocket mean: PROTOCOL.md#websocket. */
import { type ClientMessage, formatPosition, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { Caller } from '../access/caller.ts'
import { chatDialect } from '../dialects/native.ts'
import type { Run } from '../runs/run.ts'
import { requirePosition } from '../sessions/positions.ts'
import type { Connection } from '../transports/connections.ts'
import type { WebSocketConnection, WebSocketStream } from '../transports/websocket.ts'
import { openReading, requireReadable } from './reading.ts'
import type { GatewayOptions } from './routes.ts'
import { chatBody, check, continueBody, idParam, publication, reading, runParam } from './schemas.ts'

const ref = z.string().max(64).optional()
const asked = chatBody.omit({ events: true })
const { session, channel } = reading.shape
const messages = {
  query: asked,
  run: asked.extend({ ref }),
  continue: continueBody.omit({ events: true }).extend({ ...runParam.shape, ref }),
  attach: reading.extend({ ref }),
  detach: z.object({ session, channel, ref }),
  ack: z.object({ session, channel, id: z.string().max(200), ref }),
  publish: publication.extend({ ref }),
  stop: z.object({ run: idParam.shape.id, ref }),
  ping: z.object({ ref }),
}

export type MessageContext = Pick<
  GatewayOptions,
  'engine' | 'runs' | 'chats' | 'channels' | 'authorize' | 'connections' | 'offer' | 'stops'
> & { readonly isStopping: () => boolean }

/** What begins nothing is answered also while the server stops. */
const forStopping = new Set(['stop', 'ping', 'ack', 'detach'])

/** The key of what is about to be read. Messages come one after another, so there is one at most. */
const reserved = 'reserved'

/** What one socket remembers between its messages. */
export interface SocketSession {
  readonly connection: WebSocketConnection
  readonly caller: Caller
  /** Its place among all connections. */
  readonly own: Connection
  /** The conversation of messages that name none: the handshake's, or that of the first question. */
  session: string | undefined
  /** Answers to plain questions go down a stream of their own; here they are only acknowledged. */
  readonly isCommandsOnly: boolean
}

/** Does what one message says. Rejects with the error. */
export async function handle(socket: SocketSession, message: Record<string, unknown>, context: MessageContext): Promise<void> {
  const { connection, caller, own } = socket
  const { runs, chats, channels, authorize, offer, stops } = context
  const { type = 'query' } = message as { type?: 'query' | Extract<ClientMessage, { type: string }>['type'] }
  if (context.isStopping() && !forStopping.has(type)) throw new MillraceError('server_stopping')
  switch (type) {
    case 'query': {
      const request = check(messages.query, message)
      const session = request.session ?? socket.session
      try {
        // Before the run is begun: a question that was refused is asked, and paid, again.
        if (!socket.isCommandsOnly) reserve(session)
        const run = await ask({ ...request, session })
        socket.session ??= run.session
        if (socket.isCommandsOnly) return acknowledge(run, undefined)
        const dialect = chatDialect({ session: run.session, run: run.id, lanes: run.lanes.length })
        return attach(`run ${run.id}`, { log: run.session, after: run.start, dialect })
      } finally {
        own.detach(reserved)
      }
    }
    case 'run': {
      const { ref, ...request } = check(messages.run, message)
      return acknowledge(await ask(request), ref)
    }
    case 'continue': {
      const { ref, run, id, session: named } = check(messages.continue, message)
      const session = named ?? (await runs.find(run))?.session
      await authorize(caller, 'run.start', { session })
      return acknowledge(await requireReadableRun(await chats.resume({ run, session, id })), ref)
    }
    case 'attach': {
      const { ref, ...request } = check(messages.attach, message)
      // Whoever reads it already has its place.
      const connect = (log: string) => own.reads(log) || reserve(log)
      const stream = await openReading(context, caller, request, connect).finally(() => own.detach(reserved))
      attach(stream.log, stream)
      return connection.send({ type: 'attached', ...withRef(ref), ...stream.source, position: formatPosition(stream.after) })
    }
    case 'detach': {
      const { ref, ...named } = check(messages.detach, message)
      const { log, source } = await requireReadable(authorize, caller, named)
      if (!connection.detach(log)) throw new MillraceError('not_attached')
      return connection.send({ type: 'detached', ...withRef(ref), ...source })
    }
    case 'ack': {
      const { ref, id, ...named } = check(messages.ack, message)
      requirePosition(id)
      const { log, source } = await requireReadable(authorize, caller, named)
      // With a stream of its own for what comes down, the session is read by another connection.
      if (!own.reads(log) && socket.session !== log) throw new MillraceError('not_attached')
      own.acknowledge(log, id)
      return ref === undefined ? undefined : connection.send({ type: 'acknowledged', ref, ...source, id })
    }
    case 'publish': {
      const { ref, ...request } = check(messages.publish, message)
      await authorize(caller, 'channel.publish', { session: undefined, channel: request.channel })
      const { position, duplicate } = await channels.publish(request)
      const id = formatPosition(position)
      return connection.send({ type: 'published', ...withRef(ref), channel: request.channel, position: id, duplicate })
    }
    case 'stop': {
      const { ref, run: id } = check(messages.stop, message)
      const end = await stops.stop(id, ({ session }) => authorize(caller, 'run.stop', { session }))
      return connection.send({ type: 'ended', ...withRef(ref), run: id, end })
    }
    case 'ping':
      return connection.send({ type: 'pong', ...withRef(check(messages.ping, message).ref) })
    default:
      throw new MillraceError('invalid_request', { message: 'There is no message of this type; see PROTOCOL.md, WebSocket.' })
  }

  /** A place for what is about to be read. Throws `too_many_attachments` and `too_many_connections`. */
  function reserve(log: string | undefined): void {
    connection.requireRoom()
    if (log !== undefined) own.attach(log, reserved)
  }

  function attach(key: string, stream: WebSocketStream): void {
    // In the same turn, so that nobody else takes the place.
    own.detach(reserved)
    own.attach(stream.log, key)
    try {
      connection.attach(key, stream)
    } catch (error) {
      own.detach(key)
      throw error
    }
  }

  function acknowledge({ session, id, start }: Run, ref: string | undefined): void {
    connection.send({ type: 'started', ...withRef(ref), session, run: id, position: formatPosition(start) })
  }

  async function ask({ query, model, models, session, id }: z.output<typeof asked>): Promise<Run> {
    await authorize(caller, 'run.start', { session })
    const names = models ?? (model === undefined ? undefined : [model])
    await offer.require(names)
    return requireReadableRun(await chats.ask({ query, models: names, session, id }))
  }

  /** The id may have led to a run of a session that was not named. */
  async function requireReadableRun(run: Run): Promise<Run> {
    await authorize(caller, 'session.read', { session: run.session })
    return run
  }
}

function withRef(ref: string | undefined): { readonly ref?: string } {
  return ref === undefined ? {} : { ref }
}
