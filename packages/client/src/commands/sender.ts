/**
 * Sends commands: a command goes over the WebSocket where the transport has one, else by POST. Every
 * command may be sent again with the same ids without being carried out twice.
 */
import type { Asked, CallDecision, Json, QueueMove } from '@millrace/protocol'
import { MillraceError, unreachable } from '../errors.ts'
import { type Http, toError } from '../http.ts'
import type { TransportSelector } from '../link/selector.ts'
import type { Socket } from '../transports/socket.ts'

export interface RunCommand extends Asked {
  readonly query?: string | undefined
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

/** Only one lane, and another model. */
export interface ContinuedPart {
  readonly lane?: string
  readonly model?: string
}

export type Command =
  | ({ readonly type: 'run' } & RunCommand)
  | ({ readonly type: 'continue'; readonly run: string; readonly session: string; readonly id: string } & ContinuedPart)
  | ({ readonly type: 'regenerate'; readonly run: string } & Omit<RunCommand, 'parent' | 'parentLane'>)
  | { readonly type: 'decide'; readonly run: string; readonly session: string; readonly decisions: readonly CallDecision[] }
  | ({ readonly type: 'queue'; readonly steer?: boolean | undefined } & RunCommand)
  | ({ readonly type: 'queue_change'; readonly entry: string; readonly steer?: boolean | undefined } & Omit<RunCommand, 'id'>)
  | ({ readonly type: 'queue_move'; readonly session: string; readonly id: string } & QueueMove)
  | { readonly type: 'queue_remove'; readonly session: string; readonly entry: string }
  | { readonly type: 'stop'; readonly run: string; readonly lane?: string | undefined; readonly session: string }
  | {
      readonly type: 'publish'
      readonly channel: string
      readonly event?: string | undefined
      readonly data: Json
      readonly id: string
    }

export interface CommandSender {
  /**
   * Rejects with a MillraceError; `unreachable` and `silent` mean that nobody knows. What is pipelined goes over the
   * WebSocket or not at all, so that it is carried out in the order of the calls.
   */
  send(command: Command, isPipelined?: boolean): Promise<unknown>
  /** Commands go over a WebSocket now. */
  canPipeline(): boolean
}

export interface CommandSenderOptions {
  readonly http: Http
  readonly socket: Socket | undefined
  readonly selector: Pick<TransportSelector, 'requested' | 'explain' | 'avoid' | 'isAvoided'>
}

export function createCommandSender({ http, socket, selector }: CommandSenderOptions): CommandSender {
  return {
    canPipeline,
    async send(command, isPipelined = false) {
      if (socket === undefined || !canPipeline() || isLong(command)) {
        if (isPipelined) throw unreachable()
        return post(command)
      }
      let isSent = false
      try {
        const message = await socket.command(command, () => {
          isSent = true
        })
        if (message.type === 'ended') return message.end
        const { type } = message
        if (type !== 'started' && type !== 'published' && type !== 'decided' && type !== 'queued')
          throw new MillraceError('bad_answer')
        const { type: _, ref: __, ...answer } = message
        return answer
      } catch (cause) {
        if (isPipelined) throw cause
        const error = toError(cause)
        // Of the command, not of the socket: that has no code of the server's.
        const isRefused = (!isUnanswered(error) || error.code === 'rate_limited') && error.code !== 'refused'
        if (isRefused || selector.requested === 'ws') throw error
        const answer = await post(command)
        // POST works where the WebSocket did not open: without this each command would wait for the WebSocket first.
        if (!isSent) selector.avoid('ws', error)
        return answer
      }
    },
  }

  function canPipeline(): boolean {
    const { transport } = selector.explain()
    return socket !== undefined && (transport === 'ws' || (transport === 'hybrid' && !selector.isAvoided('ws')))
  }

  async function post(command: Command): Promise<unknown> {
    switch (command.type) {
      case 'run':
      case 'publish': {
        const { type, ...body } = command
        return http.json(type === 'run' ? 'api/chat' : 'api/publish', { body })
      }
      case 'queue': {
        const { type: _, session, ...body } = command
        return http.json(queueOf(session), { body })
      }
      case 'queue_change':
      case 'queue_move':
      case 'queue_remove': {
        const { type, session, entry, ...body } = command
        const path = `${queueOf(session)}/${encodeURIComponent(entry)}`
        if (type === 'queue_move') return http.json(`${path}/move`, { body })
        return http.json(path, type === 'queue_remove' ? { method: 'DELETE' } : { method: 'PATCH', body })
      }
      case 'continue':
      case 'regenerate':
      case 'decide':
      case 'stop': {
        const { type, run, ...body } = command
        return http.json(`api/runs/${encodeURIComponent(run)}/${type === 'decide' ? 'decisions' : type}`, { body })
      }
    }
  }
}

function queueOf(session: string): string {
  return `api/sessions/${encodeURIComponent(session)}/queue`
}

/** A server closes a WebSocket for a message of more than 256 KiB; a character has three bytes at most. */
function isLong(command: Command): boolean {
  return JSON.stringify(command).length > 65_536 && command.type !== 'publish'
}

const passing = new Set<string>([
  'unreachable',
  'silent',
  'bad_answer',
  'token_failed',
  'server_full',
  'server_stopping',
  'rate_limited',
])

/** Nobody knows whether it was carried out, or the server said that it did nothing and may soon do it. */
export function isUnanswered({ code, retryable, status }: MillraceError): boolean {
  return retryable && (passing.has(code) || status === 408)
}
