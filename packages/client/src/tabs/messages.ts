/**
 * What tabs say to each other, by BroadcastChannel. A tab speaks to the leader on the channel that all
 * listen to, and is spoken to on one of its own, so that events are not copied to tabs that do not want them.
 */
import type { Source } from '@millrace/protocol'
import type { Command } from '../commands/sender.ts'
import { MillraceError } from '../errors.ts'
import type { StreamHandlers, TransportName } from '../transports/transport.ts'

export type ToLeader =
  | {
      readonly type: 'open'
      readonly tab: string
      readonly stream: number
      readonly transport: TransportName
      readonly source: Source
      readonly from: string
    }
  | { readonly type: 'close'; readonly tab: string; readonly stream: number; readonly isDead: boolean }
  | {
      readonly type: 'command'
      readonly tab: string
      readonly ref: number
      readonly command: Command
      readonly isPipelined: boolean
    }

export type ToAll =
  /** The leader answers with `leading`, which every tab receives. */
  { readonly type: 'who'; readonly term: number } | { readonly type: 'leading'; readonly leader: string; readonly term: number }

/** A call of one of a stream's handlers; `n` counts them, so that a lost one is noticed. */
export type News = {
  readonly [K in keyof StreamHandlers]: {
    readonly type: 'news'
    readonly leader: string
    readonly stream: number
    readonly n: number
    readonly call: K
    readonly args: K extends 'failed' ? readonly [PlainError] : Parameters<StreamHandlers[K]>
  }
}[keyof StreamHandlers]

export interface Answer {
  readonly type: 'answer'
  readonly leader: string
  readonly ref: number
  readonly value?: unknown
  readonly error?: PlainError
}

/** An error as it can be copied to another tab. */
export type PlainError = Pick<MillraceError, 'code' | 'message' | 'retryable' | 'docs' | 'status' | 'retryAfterMs'>

export function toPlain({ code, message, retryable, docs, status, retryAfterMs }: MillraceError): PlainError {
  return { code, message, retryable, docs, status, retryAfterMs }
}

export function fromPlain({ code, ...details }: PlainError): MillraceError {
  return new MillraceError(code, details)
}
