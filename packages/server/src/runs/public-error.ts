/** What of an error may leave the server: its code and its sentence, never a cause, and no secret in either. */
import { MillraceError, type PublicError } from '@millrace/protocol'
import { redact } from '../operations/redact.ts'

export function publicError(error: unknown): PublicError {
  const known = error instanceof MillraceError ? error : new MillraceError('model_failed', { cause: error })
  const told = known.toPublic()
  return { ...told, message: redact(told.message) }
}
