/** What a route of the HTTP face is: what it takes, what it answers, and how it comes to it. */
import type { z } from 'zod'
import type { Caller } from '../access/caller.ts'
import type { Connection, TransportName } from '../transports/connections.ts'
import type { SseStream } from '../transports/sse.ts'

/** What a route is given: its inputs, checked by its own schemas. */
export interface RouteRequest<Input> {
  readonly input: Input
  readonly lastEventId: string | undefined
  readonly caller: Caller
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal
  /** The client asked for JSON and not for a stream. */
  readonly wantsJson: boolean
  /**
   * Takes the reader's place among all connections. MUST be called before anything is begun that is then to be read: who is
   * refused with `too_many_connections` asks again. It is closed with the answer.
   */
  connect(transport: TransportName, log?: string): Connection
}

export type RouteResponse =
  | { readonly status: number; readonly json?: unknown }
  /** Written already; JSON, unless the headers say otherwise. */
  | { readonly status: number; readonly text: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly stream: SseStream }

export interface Route {
  readonly method: 'get' | 'post' | 'patch' | 'delete'
  /** With `:id` where `params` has it. */
  readonly path: string
  readonly summary: string
  /** Answered also while the server stops, to who is connected: its runs go on for a while, and are to be stopped and read. */
  readonly isForStopping?: true
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  readonly answers: Readonly<Record<number, z.ZodType | 'stream' | 'nothing'>>
  // biome-ignore lint/suspicious/noExplicitAny: the gateway calls it with what the route's own schemas have checked.
  readonly handle: (request: RouteRequest<any>) => Promise<RouteResponse>
}
