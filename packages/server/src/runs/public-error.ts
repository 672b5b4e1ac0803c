/** What of an error may leave the server: its code and its sentence, never a cause. */
import { MillraceError, type PublicError } from '@millrace/protocol'

export function publicError(error: unknown): PublicError {
  const known = error instanceof MillraceError ? error : new MillraceError('model_failed', { cause: error })
  return known.toPublic()
}
