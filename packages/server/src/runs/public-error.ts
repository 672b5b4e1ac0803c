/** The part of an error that may leave the server: its code and message, never its cause, with secrets redacted. */
import { MillraceError, type PublicError } from '@millrace/protocol'
import { redact } from '../operations/redact.ts'

export function publicError(error: unknown): PublicError {
  const known = error instanceof MillraceError ? error : new MillraceError('model_failed', { cause: error })
  const shown = known.toPublic()
  return { ...shown, message: redact(shown.message) }
}
