/** What the engine asks of its worker, and what it is answered. */

export interface Limits {
  readonly eventsMax: number
  readonly bytesMax: number
  readonly ageMsMax: number
  readonly isDurableOnDisk: boolean
}

/** JSON as text; bytes as they are. */
export type StoredData = string | Uint8Array

export interface StoredEvent {
  readonly offset: number
  readonly type: string
  readonly time: number
  readonly data: StoredData
}

export type Request =
  | {
      readonly op: 'append'
      readonly log: string
      readonly epoch: string | undefined
      readonly key: string | undefined
      readonly unless: string | undefined
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
  | { readonly op: 'inspect'; readonly log: string; readonly now: number }
  | { readonly op: 'delete'; readonly log: string }
  | { readonly op: 'sweep'; readonly now: number }

/** What an operation has to say, its own fields only. */
export interface Answer {
  readonly refused?: 'position_foreign' | 'fenced' | 'position_ahead' | 'session_not_found'
  readonly epoch?: string
  readonly start?: number
  readonly head?: number
  readonly time?: number
  readonly duplicate?: boolean
  readonly existed?: boolean
  readonly events?: readonly StoredEvent[]
  readonly gone?: readonly string[]
}

/** A group of requests is answered as a whole: all of it happened, or nothing. */
export type Reply = { readonly answers: readonly Answer[] } | Failure

export interface Failure {
  readonly failure: 'full' | 'busy' | 'damaged' | 'unusable' | 'internal'
  /** What the database says. */
  readonly message: string
}
