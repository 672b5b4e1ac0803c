/** What the gateway knows of a transport. `server.ts` names the transports that there are. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { MillraceError, Position, ServerMessage, Source } from '@millrace/protocol'
import type { DeliveryOptions } from '../delivery/wire.ts'
import type { Dialect } from '../dialects/dialect.ts'
import type { RunPlace, RunView } from '../dialects/replay.ts'
import type { Frame } from '../dialects/run-dialect.ts'
import type { Connection } from './connection.ts'

export interface ReadableLog extends DeliveryOptions {
  readonly source: Source
  readonly log: string
  readonly after: Position
  readonly dialect: Dialect
}

/** A log that the client named and that cannot be read: the client gets the error as a line. */
export interface UnreadableLog {
  readonly source: Source
  readonly error: MillraceError
  /** The client has received the error before: it sent `unreadPosition`. */
  readonly isKnown: boolean
}

/** In place of a position, for a log that could not be read. A client that sends it back reads that log from its start. */
export const unreadPosition = '-'

/** `lines`: each frame is a line of JSON, with an id `{"id":…,"chunk":…}`. `text`: the data of the frames, and nothing between. */
export type RunForm = 'sse' | 'lines' | 'text'

/** One run in a dialect of other people's clients. */
export interface RunStream extends RunView {
  readonly form: RunForm
  /** Beside those of the form, or in their place. */
  readonly headers?: Readonly<Record<string, string>>
  /** Where the reader goes on; default with the run's first event. */
  readonly place?: RunPlace
}

/** The only log of its response. */
export interface RunDelivery {
  readonly stream: RunStream
  readonly connection: Connection
}

export interface Delivery {
  /** At least one that can be read; each has a position of its own. */
  readonly logs: readonly (ReadableLog | UnreadableLog)[]
  /** Closed by the transport when the client has left or the response is complete. */
  readonly connection: Connection
  /** The client acknowledges heartbeats. Only of a stream. */
  readonly acknowledges?: boolean
  /** How long to wait for the first event. Only of a long-poll. */
  readonly waitMs?: number
}

export interface NodeExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The HTTP server is a host's and not our own. */
  readonly isHosted: boolean
}

/** The HTTP request that a delivery answers. */
export interface Exchange {
  /** Undefined on a host of the web standard, such as Deno. */
  readonly node?: NodeExchange | undefined
  /** Aborts when the client has left: not every web host then cancels the body. Made when it is read, as it takes memory. */
  readonly signal: AbortSignal
}

/** Carries logs in the response to an HTTP request. */
export interface HttpTransport {
  /** Of every successful response, also to HEAD. */
  readonly headers: Readonly<Record<string, string>>
  /** Rejects with a MillraceError where nothing has been written yet. */
  respond(delivery: Delivery, exchange: Exchange): Response | Promise<Response>
}

/** Streams one run in a dialect of other people's clients. */
export type RespondRun = (delivery: RunDelivery, exchange: Exchange) => Response

/** By the name that a client asks for. */
export type HttpTransports = Readonly<{ sse: HttpTransport & { readonly respondRun: RespondRun }; poll: HttpTransport }>

export interface SocketStream extends DeliveryOptions {
  readonly log: string
  readonly after: Position
  readonly dialect: Dialect
  /** Named in each event. Without it only the dialect's data is sent, and the stream ends where the dialect does. */
  readonly source?: Source
}

/** One run in the messages of another product's WebSocket. */
export interface SocketRun extends RunView {
  /** Where the reader goes on; default with the run's first event. */
  readonly place?: RunPlace
  /** Names all that the messages depend on beside the dialect's frames; readers with the same share every byte. */
  readonly format: string
  /** The message of a frame; `index` is its number in the run. MUST be pure. */
  message(frame: Frame, index: number, id: string): string
  /** Called once: the run's last frame was sent, or it cannot be read on because of `error`. */
  onEnd(error?: unknown): void
}

/** One WebSocket. Once it is closing, nothing is sent and nothing is attached. */
export interface Socket {
  send(message: ServerMessage): void
  /**
   * Sends the events after a position. A key that is attached restarts from there. Throws `too_many_attachments` and
   * `too_many_connections`.
   */
  attach(key: string, stream: SocketStream): void
  /** The same for a run in a dialect of other people's clients. */
  attachRun(key: string, run: SocketRun): void
  /** Sends a message of another product's. */
  sendText(text: string): void
  /** Throws `too_many_attachments`. */
  requireRoom(): void
  /** False where nothing is attached under this key. */
  detach(key: string): boolean
  close(code: number, reason: string): void
  /** Its client knows no message of Millrace's own: none is sent by itself. */
  isOthers: boolean
  /** The server has closed it: messages that still arrive are not handled. */
  readonly isClosed: boolean
}

/** Handles one text message. Resolves when the message was handled and answered. MUST NOT throw or reject. */
export type OnText = (text: string) => Promise<void>

export interface WebSocketTransport {
  /** Completes the handshake. `onOpen` is called once; the connection is closed with the socket. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    connection: Connection,
    onOpen: (socket: Socket) => OnText,
  ): void
}
