/** A provider's errors as codes. What leaves the server says what to do, and nothing of keys, addresses or stacks. */
import { MillraceError } from '@millrace/protocol'

export function toMillraceError(error: unknown, model: string): MillraceError {
  if (error instanceof MillraceError) return error
  const status = statusOf(error)
  const options = { cause: error }
  if (status === 429) return new MillraceError('model_rate_limited', options)
  const refusal = refusals[status ?? 0]
  if (refusal !== undefined) return new MillraceError('model_rejected', { ...options, message: refusal(model) })
  return new MillraceError('model_failed', options)
}

const refusals: Record<number, (model: string) => string> = {
  400: (model) => `The provider of ${model} does not accept the request as it is; a shorter conversation may help.`,
  401: (model) => `The provider of ${model} does not accept the key; check it on the server.`,
  403: (model) => `The provider of ${model} does not allow this key to use the model.`,
  404: (model) => `The provider of ${model} does not know the model; check its name.`,
}

/** SDKs put the HTTP status here or there, and wrap errors in errors. */
function statusOf(error: unknown, depth = 0): number | undefined {
  if (typeof error !== 'object' || error === null || depth > 3) return undefined
  const { status, statusCode, response, cause } = error as Record<string, unknown>
  for (const value of [status, statusCode, (response as { status?: unknown } | undefined)?.status]) {
    if (typeof value === 'number') return value
  }
  return statusOf(cause, depth + 1)
}
