/**
 * The way up: a command is sent over the WebSocket where the transport has one, else by POST. Every
 * command may be sent again with the same ids without being carried out twice.
 */
import type { Json, Source } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import { type Http, toError } from './http.ts'
import type { Socket } from './socket.ts'
import type { Timings } from './timings.ts'
import type { TransportName } from './transports/transport.ts'

export interface RunCommand {
  readonly query: string
  readonly models?: readonly string[] | undefined
  readonly session: string
  readonly id: string
}

/** Where a run was started, and the position before its first event. */
export interface Started {
  readonly run: string
  readonly session: string
  readonly position: string
}

export type Command =
  | { readonly type: 'create'; readonly session: string }
  | ({ readonly type: 'run' } & RunCommand)
  | { readonly type: 'continue'; readonly run: string; readonly session: string; readonly id: string }
  | { readonly type: 'stop'; readonly run: string }
  | {
      readonly type: 'publish'
      readonly channel: string
      readonly event?: string | undefined
      readonly data: Json
      readonly id: string
    }
  /** Where its end is now. */
  | { readonly type: 'locate'; readonly source: Source }

export interface Up {
  /** Rejects with a MillraceError; `unreachable` and `silent` mean that nobody knows. */
  send(command: Command): Promise<unknown>
}

export interface UpOptions {
  readonly http: Http
  readonly socket: Socket | undefined
  readonly timings: Timings
  readonly transport: () => TransportName
}

export function createUp({ http, socket, timings, transport }: UpOptions): Up {
  /** A WebSocket that is blocked costs each command its time; after one failure POST goes first for a while. */
  let blockedUntil = 0

  return {
    async send(command) {
      const name = transport()
      if (socket === undefined || command.type === 'create' || command.type === 'locate' || (name !== 'ws' && name !== 'hybrid'))
        return post(command)
      if (name === 'ws') return sendOver(socket, command)
      if (performance.now() < blockedUntil) return post(command)
      try {
        return await sendOver(socket, command)
      } catch (error) {
        // Of the command, not of the socket: that has no code of the server's.
        const isRefused = !isUnanswered(toError(error)) && toError(error).code !== 'refused'
        if (isRefused) throw error
        blockedUntil = performance.now() + timings.avoidMs
        return post(command)
      }
    },
  }

  async function sendOver(over: Socket, command: Exclude<Command, { type: 'create' | 'locate' }>): Promise<unknown> {
    const answer = await over.command(command)
    if (answer.type === 'started') return { run: answer.run, session: answer.session, position: answer.position }
    if (answer.type === 'ended') return answer.end
    if (answer.type === 'published') return { channel: answer.channel, position: answer.position, duplicate: answer.duplicate }
    throw new MillraceError('bad_answer')
  }

  async function post(command: Command): Promise<unknown> {
    const signal = AbortSignal.timeout(timings.answerMs)
    switch (command.type) {
      case 'create':
        return http.json('api/sessions', { body: { id: command.session }, signal })
      case 'run': {
        const { type: _, ...body } = command
        return http.json('api/chat', { body, signal })
      }
      case 'continue': {
        const { run, session, id } = command
        return http.json(`api/runs/${encodeURIComponent(run)}/continue`, { body: { session, id }, signal })
      }
      case 'publish': {
        const { type: _, ...body } = command
        return http.json('api/publish', { body, signal })
      }
      case 'locate': {
        const query = new URLSearchParams({ ...command.source, from: 'now', live: 'poll', wait: '0' })
        const { position } = (await http.json(`api/stream?${query.toString()}`, { signal })) as { position: string }
        return position
      }
      case 'stop':
        return http.json(`api/runs/${encodeURIComponent(command.run)}/stop`, { body: {}, signal })
    }
  }
}

/** Nobody knows whether it was carried out, or the server said that it did nothing and will soon be back. */
export function isUnanswered({ code, retryable, status }: MillraceError): boolean {
  return retryable && (['unreachable', 'silent', 'bad_answer', 'server_stopping'].includes(code) || status === 408)
}
