/** The WebSocket's handshake, and the order in which its messages are handled. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { closeCodes, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { Access } from '../access/access.ts'
import type { Caller } from '../access/caller.ts'
import { hides, untilNext } from '../access/hiding.ts'
import { headerOf } from '../access/host-names.ts'
import type { OnText, WebSocketTransport } from '../transports/transport.ts'
import { check } from './check.ts'
import { endWithError, toMillraceError } from './error-response.ts'
import type { Face, FaceSocket, OpenedSocket } from './face.ts'
import { findPeer, identifyHandshake } from './identify.ts'
import { type MessageContext, SocketSession } from './messages.ts'
import { idParam } from './schemas.ts'
import { pathOf, type Sockets, socketPath } from './upgrade.ts'

/** Messages that fail by the client's fault before the connection is closed: this ends a client in a loop. */
const errorsMax = 16
const stopsMax = 16

interface Context extends MessageContext {
  readonly access: Access
  readonly onError: (error: unknown) => void
}

/** Millrace's WebSocket, and those of the faces. */
export function createSockets(transport: WebSocketTransport, context: Context, faces: readonly Face[]): Sockets {
  const { access, observer, onError } = context
  const others = new Map(faces.flatMap(({ sockets = [] }) => sockets.map((socket) => [socket.path, socket] as const)))
  return { paths: new Set([socketPath, ...others.keys()]), accept }

  function accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const reject = (error: unknown) => {
      const known = toMillraceError(error, onError)
      observer.errorSent?.(known.code)
      endWithError(socket, known)
    }
    try {
      const client = findPeer(request, access)
      context.limits.requireHandshake(client.address)
      const query = readHandshake(request, access)
      const face = others.get(pathOf(request))
      const create =
        face === undefined ? ownSocket(check(handshakeQuery, Object.fromEntries(query))) : faceSocket(face, query, context)
      const open = (caller: Caller) => openSocket({ request, socket, head }, caller, create)
      const caller = identifyHandshake(request, client, query.get('ticket') ?? undefined, access)
      if (caller instanceof Promise) caller.then(open).catch(reject)
      else open(caller)
    } catch (error) {
      reject(error)
    }
  }

  /** Its callbacks live as long as the connection, and MUST NOT keep the request. */
  function openSocket({ request, socket, head }: Offer, caller: Caller, create: CreateSocket): void {
    // The client may have disconnected while the host was deciding.
    if (socket.destroyed) return
    const { principal, address } = caller
    const connection = context.connections.open({ transport: 'ws', principal, address })
    // A handshake that fails later never becomes a WebSocket, and the transport never closes its connection.
    socket.once('close', () => connection.close())
    transport.upgrade(request, socket, head, connection, (opened) => create({ socket: opened, connection, caller }))
  }

  function ownSocket({ session, down }: HandshakeQuery): CreateSocket {
    return (opened) => {
      const messages = new MessageQueue(
        new SocketSession({ ...opened, session, isCommandsOnly: down === 'sse' }, context),
        context,
      )
      return (text) => messages.handle(text)
    }
  }
}

type CreateSocket = (opened: Pick<OpenedSocket, 'socket' | 'connection' | 'caller'>) => OnText

function faceSocket(face: FaceSocket, query: URLSearchParams, { access, observer, onError }: Context): CreateSocket {
  const errorOf: OpenedSocket['errorOf'] = async (error, startedAt) => {
    if (hides(error)) await untilNext(startedAt, access.hidingMs)
    const known = toMillraceError(error, onError)
    observer.errorSent?.(known.code)
    return known
  }
  return (opened) => {
    opened.socket.isOthers = true
    const onText = face.open({ ...opened, query, errorOf })
    let last: Promise<void> = Promise.resolve()
    return (text) => {
      last = last.then(() => (opened.socket.isClosed ? undefined : onText(text)))
      return last
    }
  }
}

interface Offer {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** Handles the messages of a socket one after another, in the order in which they were sent. */
class MessageQueue {
  readonly #session: SocketSession
  readonly #context: Pick<Context, 'access' | 'observer' | 'onError'>
  #errors = 0
  /** Stops under way that the next message does not wait for. */
  #stops = 0
  /** Resolves when the last message that the next has to wait for was handled. */
  #last: Promise<void> = Promise.resolve()

  constructor(session: SocketSession, context: Pick<Context, 'access' | 'observer' | 'onError'>) {
    this.#session = session
    this.#context = context
  }

  /**
   * A ping asks whether the server is alive, so it does not wait. Nor does anything wait for a `stop`, which resolves with
   * the run's end. Every other message waits until the one before it was answered. Never rejects.
   */
  handle(text: string): Promise<void> {
    const type = typeOf(text)
    if (type === 'ping') return this.#handleNow(text)
    const handled = this.#last.then(() => this.#handleNow(text))
    // A stop asks the engine again and again for up to 15 s; beyond this number they wait for each other.
    if (type !== 'stop' || this.#stops >= stopsMax) this.#last = handled
    else void this.#countStop(handled)
    return handled
  }

  async #countStop(handled: Promise<void>): Promise<void> {
    this.#stops += 1
    await handled
    this.#stops -= 1
  }

  async #handleNow(text: string): Promise<void> {
    const { socket } = this.#session
    if (socket.isClosed) return
    const startedAt = performance.now()
    let ref: string | undefined
    try {
      const message = parse(text)
      if (typeof message.ref === 'string' && message.ref.length <= 64) ref = message.ref
      await this.#session.handle(message)
    } catch (cause) {
      const { access, observer, onError } = this.#context
      if (hides(cause)) await untilNext(startedAt, access.hidingMs)
      const error = toMillraceError(cause, onError)
      observer.errorSent?.(error.code)
      socket.send({ type: 'error', ...(ref !== undefined && { ref }), ...error.toBody() })
      // An engine failure is not the client's fault, and 4400 would keep the client away permanently.
      if (error.retryable || error.status >= 500) return
      this.#errors += 1
      if (this.#errors === errorsMax) socket.close(closeCodes.misuse, 'Too many messages failed.')
    }
  }
}

/** Only of a short message, which `ping` and `stop` are: a long one is parsed when it is handled. */
function typeOf(text: string): unknown {
  if (text.length > 512) return undefined
  try {
    return parse(text).type
  } catch {
    // The error is sent when the message is handled.
    return undefined
  }
}

function parse(text: string): Record<string, unknown> {
  let message: unknown
  try {
    // Some clients send a byte order mark, as with bodies.
    message = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    throw new MillraceError('invalid_json', { cause })
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) throw new MillraceError('invalid_request')
  return message as Record<string, unknown>
}

const handshakeQuery = z.object({
  session: idParam.shape.id.optional(),
  down: z.enum(['socket', 'sse']).default('socket'),
  ticket: z.string().optional(),
})

type HandshakeQuery = z.output<typeof handshakeQuery>

/** The query of the address. Throws for what `ws` does not check: the address and the origin. */
function readHandshake(request: IncomingMessage, { checkOrigin }: Access): URLSearchParams {
  const address = URL.parse(request.url ?? '', 'http://host')
  if (address === null) throw new MillraceError('malformed_http')
  checkOrigin(headerOf(request), `http://${request.headers.host}`)
  return address.searchParams
}
