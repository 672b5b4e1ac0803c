/** The WebSocket's handshake, and its messages one by one: one that is refused is answered, the others go on. */
import type { IncomingMessage } from 'node:http'
import { closeCodeOf, closeCodes, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import { type Caller, identify } from '../access/caller.ts'
import { headerOf } from '../access/host-names.ts'
import { checkOrigin } from '../access/origin.ts'
import type { WebSocketTransport } from '../transports/websocket.ts'
import { endWithError, toMillraceError } from './error-response.ts'
import { handle, type MessageContext, type SocketSession } from './messages.ts'
import { check, idParam } from './schemas.ts'
import type { Upgrade } from './upgrade.ts'

/** Messages refused for their own fault before the connection is closed: a client in a loop must not go on for ever. */
const errorsMax = 16
const stopsMax = 16

type Context = MessageContext & { readonly onError: (error: unknown) => void }

/** A socket whose messages are obeyed one after another, so that what was sent first happens first. */
interface Client extends SocketSession {
  errors: number
  /** Stops under way that hold up nothing. */
  stops: number
  /** Resolves when the last of them that the next has to wait for was obeyed. */
  turn: Promise<void>
}

export function acceptWebSockets(transport: WebSocketTransport, context: Context): Upgrade {
  return (request, socket, head) => {
    // A host may have thought about it for so long that the client has left.
    if (socket.destroyed) return
    try {
      const { session, down } = readHandshake(request)
      const caller = identifyHandshake(request)
      const { principal, address } = caller
      const own = context.connections.open({ transport: 'ws', principal, address })
      // A handshake that fails later on never becomes a WebSocket, and never closes as one.
      socket.once('close', () => own.close())
      let client: Client
      transport.upgrade(request, socket, head, {
        onOpen(connection) {
          const isCommandsOnly = down === 'sse'
          client = { connection, caller, own, session, isCommandsOnly, errors: 0, stops: 0, turn: Promise.resolve() }
          own.onTerminated((error) => connection.close(closeCodeOf(error), error.code))
        },
        onText: (_connection, text) => inTurn(client, text, context),
        onDetach: (key) => own.detach(key),
        onClose: () => own.close(),
      })
    } catch (error) {
      endWithError(socket, toMillraceError(error, context.onError))
    }
  }
}

/**
 * A ping asks whether somebody is there, not whether all before it is done; and the end that `stop` waits for may be long
 * in coming. Everything else waits until what came before it was answered.
 */
function inTurn(socket: Client, text: string, context: Context): Promise<void> {
  const type = typeOf(text)
  if (type === 'ping') return receive(socket, text, context)
  const handled = socket.turn.then(() => receive(socket, text, context))
  // Each waits for up to 15 s, asking again and again; beyond so many at a time they wait for each other.
  if (type !== 'stop' || socket.stops >= stopsMax) socket.turn = handled
  else void countStop(socket, handled)
  return handled
}

async function countStop(socket: Client, stopped: Promise<void>): Promise<void> {
  socket.stops += 1
  await stopped
  socket.stops -= 1
}

/** Of a short message, which `ping` and `stop` are: what is long is parsed only when it is its turn. */
function typeOf(text: string): unknown {
  if (text.length > 512) return undefined
  try {
    return parse(text).type
  } catch {
    // It is refused in its turn.
    return undefined
  }
}

/** Never rejects: a message that is refused is answered. */
async function receive(socket: Client, text: string, context: Context): Promise<void> {
  if (socket.connection.isCut) return
  let ref: string | undefined
  try {
    const message = parse(text)
    if (typeof message.ref === 'string' && message.ref.length <= 64) ref = message.ref
    await handle(socket, message, context)
  } catch (cause) {
    const error = toMillraceError(cause, context.onError)
    socket.connection.send({ type: 'error', ...(ref !== undefined && { ref }), ...error.toBody() })
    // What fails because an engine is away, or a log is damaged, says nothing about the client, whom 4400 would send away for good.
    if (error.retryable || error.status >= 500) return
    socket.errors += 1
    if (socket.errors === errorsMax) socket.connection.close(closeCodes.misuse, 'Too many messages were refused.')
  }
}

function parse(text: string): Record<string, unknown> {
  let message: unknown
  try {
    // As of a body: some put a byte order mark before it.
    message = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    throw new MillraceError('invalid_json', { cause })
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) throw new MillraceError('invalid_request')
  return message as Record<string, unknown>
}

const handshakeQuery = z.object({ session: idParam.shape.id.optional(), down: z.enum(['socket', 'sse']).default('socket') })

/** What the address says, and what is wrong with a handshake beside what `ws` sees to. */
function readHandshake(request: IncomingMessage): z.output<typeof handshakeQuery> {
  const address = URL.parse(request.url ?? '', 'http://host')
  if (address === null) throw new MillraceError('malformed_http')
  checkOrigin(headerOf(request), `http://${request.headers.host}`)
  return check(handshakeQuery, Object.fromEntries(address.searchParams))
}

function identifyHandshake({ url = '', socket, headersDistinct }: IncomingMessage): Caller {
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(headersDistinct)) for (const value of values) headers.append(name, value)
  const [path = ''] = url.split('?', 1)
  return identify({ transport: 'ws', address: socket.remoteAddress, path, headers })
}
