/** What the engine requests from its thread, and the answers. */
import type { StoredEvent } from '../shared/packing.ts'
import type { NewBatch } from './batch-text.ts'

export interface Limits {
  readonly bytesMax: number
  readonly ageMsMax: number
  readonly totalBytesMax: number
  readonly isDurableOnDisk: boolean
}

export type Request =
  | {
      readonly op: 'append'
      readonly log: string
      readonly epoch: string | undefined
      readonly key: string | undefined
      readonly unless: string | undefined
      readonly expect: number | undefined
      readonly keep: number | undefined
      readonly batch: NewBatch
      readonly now: number
    }
  | {
      readonly op: 'read'
      readonly log: string
      readonly epoch: string
      readonly offset: number
      readonly eventsMax: number
      readonly bytesMax: number
      readonly now: number
    }
  | { readonly op: 'list'; readonly prefix: string; readonly after: string; readonly namesMax: number }
  | { readonly op: 'inspect'; readonly log: string; readonly now: number }
  | { readonly op: 'compact'; readonly log: string; readonly after: number }
  | { readonly op: 'delete'; readonly log: string }
  /** Deletes the logs with the oldest last append until `bytes` are free, or none when they would not be. */
  | { readonly op: 'makeRoom'; readonly bytes: number; readonly spare: readonly string[] }
  | { readonly op: 'sweep'; readonly now: number }

/** It changes nothing that is stored. */
export function isRead({ op }: Request): boolean {
  return op === 'read' || op === 'inspect' || op === 'list'
}

/** An answer has the fields of its operation only. */
export interface Answer {
  /** Only this request failed, because of itself or its log, and has changed nothing. */
  readonly failure?: Failure
  readonly rejected?: 'position_foreign' | 'fenced' | 'head_moved' | 'position_ahead' | 'session_not_found'
  readonly epoch?: string
  readonly start?: number
  readonly head?: number
  readonly time?: number
  readonly duplicate?: boolean
  /** The offset after which the same request has more to do. */
  readonly next?: number | undefined
  readonly existed?: boolean
  readonly events?: readonly StoredEvent[]
  /** Names of the logs that were removed. */
  readonly removed?: readonly string[]
  /** Nothing was appended: all logs together would exceed their limit by this. */
  readonly bytesOver?: number
  readonly names?: readonly string[]
}

/** To a group of requests. A request with an answer has happened, unless the answer is a failure. */
export interface Reply {
  /** In the order of the requests; when the group failed, only of the requests before the failure. */
  readonly answers: readonly (Answer | undefined)[]
  /** Why the other requests have no answer. */
  readonly failure?: Failure
  /** What the operator has to know, in sentences. */
  readonly warning?: string | undefined
}

export interface Failure {
  readonly kind: 'full' | 'broken' | 'busy' | 'damaged' | 'log_damaged' | 'unusable' | 'internal'
  /** The message of the database. */
  readonly message: string
}
