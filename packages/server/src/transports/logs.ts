/** What one stream or long-poll carries: the logs that its reader named, each with its own place. */
import type { MillraceError, Position, Source } from '@millrace/protocol'
import type { DeliveryOptions } from '../delivery/wire.ts'
import type { Dialect } from '../dialects/dialect.ts'

export interface ReadableLog extends DeliveryOptions {
  readonly source: Source
  readonly log: string
  readonly after: Position
  readonly dialect: Dialect
}

/** A log that the reader named and that cannot be read: the reader gets the error as a line. */
export interface UnreadableLog {
  readonly source: Source
  readonly error: MillraceError
  /** The reader has had the error before: it sent `unreadPosition`. */
  readonly isKnown: boolean
}

/** In place of a position, for a log that could not be read. A reader that sends it back reads that log from its start. */
export const unreadPosition = '-'
