/** What the engine asks of its worker, and what it is answered. */
import type { StoredData, StoredEvent } from '../shared/packing.ts'

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
      readonly events: readonly { readonly type: string; readonly data: StoredData }[]
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
  | { readonly op: 'open' }
  | { readonly op: 'list'; readonly prefix: string; readonly after: string; readonly namesMax: number }
  | { readonly op: 'inspect'; readonly log: string; readonly now: number }
  | { readonly op: 'compact'; readonly log: string; readonly after: number }
  | { readonly op: 'delete'; readonly log: string }
  /** Deletes the logs written to longest ago for so many bytes, and none where those that may go are too few. */
  | { readonly op: 'makeRoom'; readonly bytes: number; readonly spare: readonly string[] }
  | { readonly op: 'sweep'; readonly now: number }

/** What an operation has to say, its own fields only. */
export interface Answer {
  /** It alone failed, for what is wrong with it or with its log, and has changed nothing. */
  readonly failure?: Failure
  readonly refused?: 'position_foreign' | 'fenced' | 'head_moved' | 'position_ahead' | 'session_not_found'
  readonly epoch?: string
  readonly start?: number
  readonly head?: number
  readonly time?: number
  readonly duplicate?: boolean
  /** There is more to do of the same, behind this offset. */
  readonly next?: number | undefined
  readonly existed?: boolean
  readonly events?: readonly StoredEvent[]
  readonly gone?: readonly string[]
  /** Nothing was appended: all logs together would have so many bytes too many. */
  readonly bytesOver?: number
  readonly names?: readonly string[]
}

/** Of a group of requests: those that have an answer have happened, and have not where it is a failure. */
export interface Reply {
  /** In the order of the requests; where the group failed only of those that happened before. */
  readonly answers: readonly (Answer | undefined)[]
  /** Why the others have none. */
  readonly failure?: Failure
  /** What the operator has to know, in sentences. */
  readonly warning?: string | undefined
}

export interface Failure {
  readonly kind: 'full' | 'broken' | 'busy' | 'damaged' | 'log_damaged' | 'unusable' | 'internal'
  /** What the database says. */
  readonly message: string
}
