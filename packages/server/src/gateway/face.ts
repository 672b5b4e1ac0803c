/**
 * A face: the addresses at which clients of another product find what they expect. `server.ts` introduces each; the gateway
 * knows none by name.
 */
import type { MillraceError } from '@millrace/protocol'
import type { Caller } from '../access/caller.ts'
import type { ClientWebhooks } from '../outgoing/client-webhooks.ts'
import type { Connection } from '../transports/connection.ts'
import type { OnText, Socket } from '../transports/transport.ts'
import type { Route } from './route.ts'
import type { RoutesOptions } from './routes.ts'

export interface Face {
  /** What all its addresses begin with, such as `/v1` for `/v1/models`. No other face has it. */
  readonly prefix: string
  readonly routes: readonly Route[]
  readonly sockets?: readonly FaceSocket[]
  /** An error as its clients expect it, at every address that begins with `prefix`. Default: Millrace's own. */
  readonly formatError?: (error: MillraceError) => FaceError
}

/** A WebSocket with messages of its own. */
export interface FaceSocket {
  readonly path: string
  /**
   * Called for each that is opened, by a caller that was let in. The function gets one message after another, each when the
   * one before was handled. What it needs of the handshake MUST be read here: the request is not kept.
   */
  open(opened: OpenedSocket): OnText
}

export interface OpenedSocket {
  readonly socket: Socket
  readonly connection: Connection
  readonly caller: Caller
  readonly query: URLSearchParams
  /** What its client gets for an error, once it may: reported where it is not the client's fault, later where it hides something. */
  errorOf(error: unknown, startedAt: number): Promise<MillraceError>
}

export interface FaceError {
  /** Default that of the error's code. */
  readonly status?: number
  readonly body: string
  /** Beside, or in place of, those of Millrace's errors, such as `content-type` (default JSON) and `retry-after`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Whether an address is below one of these. */
export function isBelow(prefixes: readonly string[], path: string): boolean {
  return prefixes.some((prefix) => path.startsWith(prefix) && /^([/?]|$)/.test(path.slice(prefix.length)))
}

/** An error in the form of the face whose address it is; undefined where that is Millrace's own. */
export function formatAt(faces: readonly Face[], path: string, error: MillraceError): FaceError | undefined {
  const [face] = faces.filter(({ prefix }) => isBelow([prefix], path)).sort((a, b) => b.prefix.length - a.prefix.length)
  return face?.formatError?.(error)
}

/** The parts of the server that a face uses. */
export interface FaceContext extends RoutesOptions {
  /** Undefined where clients choose no addresses for the server to send requests to. */
  readonly clientWebhooks: ClientWebhooks | undefined
  readonly hasAuthentication: boolean
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

export type CreateFace = (context: FaceContext) => Face | readonly Face[]
