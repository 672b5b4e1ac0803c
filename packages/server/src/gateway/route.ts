/** A route: its input, its responses and its handler. A dialect with routes of its own gives them to `createApp` as these. */
import type { z } from 'zod'
import type { Caller } from '../access/caller.ts'
import type { Connection } from '../transports/connection.ts'
import type { Delivery, HttpTransports, RunDelivery } from '../transports/transport.ts'

/** The request, its inputs checked by the schemas of the route. */
export interface RouteRequest<Input> {
  readonly input: Input
  /** Of the header, or of the query where the route takes it there. */
  readonly lastEventId: string | undefined
  readonly caller: Caller
  /** Aborts when the client has left. */
  readonly signal: AbortSignal
  /** Only the headers are sent. HEAD is safe (RFC 9110): nothing is created. */
  readonly isHead: boolean
  /** The client asked for JSON and not for a stream. */
  readonly wantsJson: boolean
  /** The bytes of a body that has no schema, as they arrive. Not called where they are not wanted: then they are discarded. */
  openBody(): ReadableStream<Uint8Array> | null
  /**
   * Opens the reader's connection. Throws `too_many_connections`. MUST be called before a run is started or a channel is
   * created for the reader: a rejected client retries. Closed with the response.
   */
  connect(transport: keyof HttpTransports, log?: string): Connection
}

export type RouteResponse =
  | { readonly status: number; readonly json?: unknown }
  /** Encoded already; JSON, unless the headers name another type. */
  | { readonly status: number; readonly text: string; readonly headers?: Readonly<Record<string, string>> }
  /** Bytes of any kind, as they are read; null for none. */
  | { readonly status: number; readonly bytes: ResponseBytes; readonly headers: Readonly<Record<string, string>> }
  /** An event stream that the route writes, and closes the connection that `connect` opened. Default headers: the transport's. */
  | { readonly stream: ReadableStream<Uint8Array>; readonly headers?: Readonly<Record<string, string>> }
  /** Logs that the transport carries over the connection that `connect` opened. */
  | { readonly deliver: Delivery }
  /** One run, likewise, in a dialect of other people's clients. */
  | { readonly deliverRun: RunDelivery }

export type ResponseBytes = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null

export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** With `:id` where `params` has it. */
  readonly path: string
  readonly summary: string
  /** Served also while the server stops: clients still read and stop the runs that have not ended. */
  readonly isForStopping?: true
  /** For everybody: nobody is asked for credentials, and the caller is `anonymous`. */
  readonly isPublic?: true
  /** Opens a connection by its address alone, so that a ticket in it is a credential. */
  readonly acceptsTicket?: true
  /** For operators: needs credentials also where others need none. */
  readonly isAdmin?: true
  /** Called before the input is read. Throws a MillraceError for a caller that may not use the route, whatever it sends. */
  readonly allow?: (caller: Caller) => void
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  /** The body is JSON whatever type it says it has: some clients say none. Pages of other sites are rejected by their origin. */
  readonly takesAnyType?: true
  /** The body is a file: its bytes are read by the route, in its own bounds. */
  readonly takesBytes?: true
  /** The body arrives for as long as the route reads it, and not within the time for a request. */
  readonly takesItsTime?: true
  readonly answers: Readonly<Record<number, z.ZodType | 'stream' | 'text' | 'bytes' | 'nothing'>>
  // biome-ignore lint/suspicious/noExplicitAny: the gateway calls it with what the route's own schemas have checked.
  readonly handle: (request: RouteRequest<any>) => Promise<RouteResponse>
}
