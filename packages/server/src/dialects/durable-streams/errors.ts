/** What a client of a stream gets instead of an answer: a status, headers, and a sentence for people. */
import { MillraceError } from '@millrace/protocol'

export class StreamError extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

export const notFound = () => new StreamError(404, 'The stream does not exist.')
export const gone = () => new StreamError(410, 'The stream was deleted; forks of it still read what they have of it.')
export const expired = () => new StreamError(410, 'The stream no longer has what follows this offset; read it from its start.')
export const invalid = (message: string) => new StreamError(400, message)

/** As a client of this protocol reads it: 404 and 410 end a reader, 5xx and 429 make it try again. */
export function toStreamError(error: unknown): unknown {
  if (!(error instanceof MillraceError)) return error
  if (error.code === 'position_expired' || error.code === 'position_foreign') return expired()
  if (error.code === 'position_ahead') return invalid('The offset is after the end of the stream.')
  return error
}
