/**
 * A reader's place in one log: `epoch` names the incarnation of the log, `offset` the last event read. The epoch
 * changes when a log is lost or re-created; without it, a reader at offset 42 of the lost log would silently get event
 * 43 of the new one.
 *
 * On the wire a position is one ASCII token, `epoch-offset`, such as `k3f9a2xq-42`. Where the address of a stream does
 * not name the session, the token does: `session:epoch-offset`. See PROTOCOL.md#positions.
 */
export interface Position {
  /** 8 to 32 characters of `[0-9a-z]`, random, chosen when the log is created. */
  readonly epoch: string
  /** Number of events up to and including the last one read; 0 is before the first. */
  readonly offset: number
}

/** A position with the session it belongs to, where the token names one. */
export interface QualifiedPosition extends Position {
  readonly session?: string
}

const token = /^(?:([A-Za-z0-9_-]{1,64}):)?([0-9a-z]{8,32})-(0|[1-9][0-9]{0,15})$/

/** The token of a position, such as `k3f9a2xq-42`; with a session `s:k3f9a2xq-42`. */
export function formatPosition(position: Position, session?: string): string {
  const plain = `${position.epoch}-${position.offset}`
  return session === undefined ? plain : `${session}:${plain}`
}

/** `undefined` for every text that is not exactly a position; never throws. */
export function parsePosition(text: string): QualifiedPosition | undefined {
  // The longest valid token is 64 + 1 + 32 + 1 + 16 characters; the pattern need not read a longer one.
  if (text.length > 114) return undefined
  const match = token.exec(text)
  if (match === null) return undefined
  const [, session, epoch, digits] = match
  const offset = Number(digits)
  if (epoch === undefined || !Number.isSafeInteger(offset)) return undefined
  return session === undefined ? { epoch, offset } : { session, epoch, offset }
}
