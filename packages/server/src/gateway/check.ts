/** Input from outside, checked by its schema. An issue whose message is an error code becomes that error. */
import { type ErrorCode, errors, MillraceError } from '@millrace/protocol'
import type { z } from 'zod'

/** Returns the parsed value. Throws a MillraceError that names the field and the problem. */
export function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  if (issue !== undefined && issue.message in errors) throw new MillraceError(issue.message as ErrorCode)
  const where = issue === undefined || issue.path.length === 0 ? 'The request' : `\`${issue.path.join('.')}\``
  throw new MillraceError('invalid_request', {
    message: `${where} is invalid: ${issue?.message}. See /api/openapi.json.`,
  })
}
