/**
 * The way up: a command is sent over the WebSocket where the transport has one, else by POST. Every
 * command may be sent again with the same ids without being carried out twice.
 */
import type { Json, Source } from '@millrace/protocol'
import { MillraceError } from './errors.ts'
import { type Http, toError } from './http.ts'
import type { Socket } from './socket.ts'
import type { Timings } from './timings.ts'
import { readOnce } from './transports/poll.ts'
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
  readonly asked: () => TransportName | 'auto'
  /** The transport to use now. */
  readonly transport: () => TransportName
  /** A WebSocket did not open lately. */
  readonly isBlocked: () => boolean
  /** It did not open, where POST got through. */
  readonly onBlocked: (error: MillraceError) => void
}

export function createUp({ http, socket, timings, asked, transport, isBlocked, onBlocked }: UpOptions): Up {
  return {
    async send(command) {
      const name = transport()
      if (socket === undefined || command.type === 'create' || command.type === 'locate') return post(command)
      if (name !== 'ws' && (name !== 'hybrid' || isBlocked())) return post(command)
      let isSent = false
      try {
        const message = await socket.command(command, () => {
          isSent = true
        })
        if (message.type === 'ended') return message.end
        if (message.type !== 'started' && message.type !== 'published') throw new MillraceError('bad_answer')
        const { type: _, ref: __, ...answer } = message
        return answer
      } catch (cause) {
        const error = toError(cause)
        // Of the command, not of the socket: that has no code of the server's.
        const isRefused = !isUnanswered(error) && error.code !== 'refused'
        if (isRefused || asked() === 'ws') throw error
        const answer = await post(command)
        // A WebSocket that is blocked would cost each command its time.
        if (!isSent) onBlocked(error)
        return answer
      }
    },
  }

  async function post(command: Command): Promise<unknown> {
    const signal = AbortSignal.timeout(timings.answerMs)
    switch (command.type) {
      case 'create':
        return http.json('api/sessions', { body: { id: command.session }, signal })
      case 'run':
      case 'publish': {
        const { type, ...body } = command
        return http.json(type === 'run' ? 'api/chat' : 'api/publish', { body, signal })
      }
      case 'continue':
      case 'stop': {
        const { type, run, ...body } = command
        return http.json(`api/runs/${encodeURIComponent(run)}/${type}`, { body, signal })
      }
      case 'locate':
        return (await readOnce(http, command.source, 'now', 0, signal)).position
    }
  }
}

/** Nobody knows whether it was carried out, or the server said that it did nothing and will soon be back. */
export function isUnanswered({ code, retryable, status }: MillraceError): boolean {
  return retryable && (['unreachable', 'silent', 'bad_answer', 'server_full', 'server_stopping'].includes(code) || status === 408)
}
