/** What the messages of a WebSocket mean: PROTOCOL.md#websocket. A message that is refused is answered; the others go on. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { closeCodes, formatPosition, MillraceError, type UpMessage } from '@millrace/protocol'
import { z } from 'zod'
import { chatDialect, sessionDialect } from '../dialects/native.ts'
import type { Run } from '../runs/runs.ts'
import { begin } from '../sessions/begin.ts'
import type { Connection } from '../sessions/connections.ts'
import type { WebSocketConnection, WebSocketTransport } from '../transports/websocket.ts'
import { anonymous } from './authorize.ts'
import type { GatewayOptions } from './routes.ts'
import { chatBody, check, idParam, streamQuery } from './schemas.ts'

/** Refused messages before the connection is closed: a client in a loop must not go on for ever. */
const refusalsMax = 16

const ref = z.string().max(64).optional()
const asked = chatBody.omit({ events: true })
const messages = {
  query: asked,
  run: asked.extend({ ref }),
  attach: streamQuery.omit({ lastEventId: true }).extend({ ref }),
  detach: z.object({ session: idParam.shape.id, ref }),
  stop: z.object({ run: idParam.shape.id, ref }),
  ping: z.object({ ref }),
}

type Context = Pick<GatewayOptions, 'engine' | 'runs' | 'chats' | 'authorize' | 'connections'> & {
  readonly onError: (error: unknown) => void
}

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** What one socket remembers between its messages. */
interface Peer {
  readonly connection: WebSocketConnection
  /** Its place among all connections. */
  readonly own: Connection
  /** The conversation of messages that name none: the handshake's, or that of the first question. */
  session: string | undefined
  /** Answers to plain questions go down a stream of their own; here they are only acknowledged. */
  readonly isUpOnly: boolean
  refusals: number
  /** Messages are obeyed one after another, so that what was sent first happens first. */
  turn: Promise<void>
}

export function createUpgrade(transport: WebSocketTransport, context: Context): Upgrade {
  return (request, socket, head) => {
    // Until it is a WebSocket nobody else listens for its errors.
    socket.on('error', () => {})
    try {
      const { session, down } = readHandshake(request)
      const own = context.connections.open({ transport: 'ws', principal: anonymous.id, address: request.socket.remoteAddress })
      // A handshake that fails later on never becomes a WebSocket, and never closes as one.
      socket.once('close', () => own.close())
      let peer: Peer | undefined
      transport.upgrade(request, socket, head, {
        onText(connection, text) {
          const known = peer ?? { connection, own, session, isUpOnly: down === 'sse', refusals: 0, turn: Promise.resolve() }
          known.turn = known.turn.then(() => receive(known, text, context))
          peer = known
        },
        onDetach: (key) => own.detach(key),
        onClose: () => own.close(),
      })
    } catch (error) {
      answer(socket, error instanceof MillraceError ? error : new MillraceError('internal', { cause: error }))
    }
  }
}

/** Never rejects: a message that is refused is answered. */
async function receive(peer: Peer, text: string, context: Context): Promise<void> {
  let ref: string | undefined
  try {
    const message = parse(text)
    if (typeof message.ref === 'string' && message.ref.length <= 64) ref = message.ref
    await obey(peer, message, context)
  } catch (error) {
    if (!(error instanceof MillraceError)) context.onError(error)
    const known = error instanceof MillraceError ? error : new MillraceError('internal')
    peer.connection.send({ type: 'error', ...(ref !== undefined && { ref }), ...known.toBody() })
    peer.refusals += 1
    if (peer.refusals === refusalsMax) peer.connection.close(closeCodes.misuse, 'Too many messages were refused.')
  }
}

function parse(text: string): Record<string, unknown> {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch (cause) {
    throw new MillraceError('invalid_json', { cause })
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) throw new MillraceError('invalid_request')
  return message as Record<string, unknown>
}

async function obey(peer: Peer, message: Record<string, unknown>, { engine, runs, chats, authorize }: Context): Promise<void> {
  const { connection } = peer
  const { type = 'query' } = message as { type?: 'query' | Extract<UpMessage, { type: string }>['type'] }
  const withRef = (ref: string | undefined) => (ref === undefined ? {} : { ref })
  switch (type) {
    case 'query': {
      const request = check(messages.query, message)
      const run = await ask({ ...request, session: request.session ?? peer.session })
      peer.session ??= run.session
      if (peer.isUpOnly) return acknowledge(run, undefined)
      const dialect = chatDialect({ session: run.session, run: run.id, lanes: run.lanes.length })
      return connection.attach(`run ${run.id}`, { log: run.session, after: run.start, dialect, isPlain: true })
    }
    case 'run': {
      const { ref, ...request } = check(messages.run, message)
      return acknowledge(await ask(request), ref)
    }
    case 'attach': {
      const { ref, session, from } = check(messages.attach, message)
      await authorize(anonymous, 'session.read', { session })
      const after = await begin(engine, session, from)
      peer.own.attach(session)
      try {
        connection.attach(session, { log: session, after, dialect: sessionDialect })
      } catch (error) {
        peer.own.detach(session)
        throw error
      }
      return connection.send({ type: 'attached', ...withRef(ref), session, position: formatPosition(after) })
    }
    case 'detach': {
      const { ref, session } = check(messages.detach, message)
      if (!connection.detach(session)) throw new MillraceError('session_not_found')
      return connection.send({ type: 'detached', ...withRef(ref), session })
    }
    case 'stop': {
      const { ref, run: id } = check(messages.stop, message)
      const run = runs.get(id)
      if (run === undefined) throw new MillraceError('run_not_found')
      await authorize(anonymous, 'run.stop', { session: run.session })
      run.stop()
      return connection.send({ type: 'ended', ...withRef(ref), run: id, end: await run.ended })
    }
    case 'ping':
      return connection.send({ type: 'pong', ...withRef(check(messages.ping, message).ref) })
    default:
      throw new MillraceError('invalid_request', { message: 'There is no message of this type; see PROTOCOL.md, WebSocket.' })
  }

  function acknowledge({ session, id, start }: Run, ref: string | undefined): void {
    connection.send({ type: 'started', ...withRef(ref), session, run: id, position: formatPosition(start) })
  }

  async function ask({ query, model, models, session, id }: z.output<typeof asked>): Promise<Run> {
    await authorize(anonymous, 'run.start', { session })
    const run = await chats.ask({ query, models: models ?? (model === undefined ? undefined : [model]), session, id })
    await authorize(anonymous, 'session.read', { session: run.session })
    return run
  }
}

const handshakeQuery = z.object({ session: idParam.shape.id.optional(), down: z.enum(['socket', 'sse']).default('socket') })

/** What the address says, and what is wrong with a handshake beside what `ws` sees to. */
function readHandshake({ url = '', headers }: IncomingMessage): z.output<typeof handshakeQuery> {
  const { pathname, searchParams } = new URL(url, 'http://host')
  if (pathname !== '/ws/chat') throw new MillraceError('not_found')
  // Browsers let any page open a WebSocket anywhere and only say where it comes from.
  const { origin, host = '' } = headers
  const from = origin !== undefined && URL.canParse(origin) ? new URL(origin).hostname : undefined
  if (origin !== undefined && from !== new URL(`http://${host}`).hostname) throw new MillraceError('origin_not_allowed')
  return check(handshakeQuery, Object.fromEntries(searchParams))
}

function answer(socket: Duplex, error: MillraceError): void {
  const body = JSON.stringify(error.toBody())
  socket.end(
    `HTTP/1.1 ${error.status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
