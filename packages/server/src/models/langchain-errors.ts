/** A provider's errors as codes. What leaves the server says what to do, and nothing of keys, addresses or stacks. */
import { MillraceError } from '@millrace/protocol'

export function toMillraceError(error: unknown, model: string): MillraceError {
  if (error instanceof MillraceError) return error
  const cause = error
  const status = find(error, statusOf)
  // Providers answer with 429 here too, but waiting does not help.
  const isSpent = status === 402 || find(error, codeOf) === 'insufficient_quota'
  const refusal = refusals[isSpent ? 402 : (status ?? 0)]
  if (refusal !== undefined) return new MillraceError('model_rejected', { cause, message: refusal(model) })
  if (status === 429) return new MillraceError('model_rate_limited', { cause })
  if (status === undefined && unreachable.has(find(error, codeOf) ?? '')) {
    return new MillraceError('model_failed', { cause, message: `The provider of ${model} cannot be reached; try again later.` })
  }
  return new MillraceError('model_failed', { cause })
}

const tooMuch = (model: string) =>
  `The provider of ${model} does not accept the request as it is; a shorter conversation may help.`

const refusals: Readonly<Record<number, (model: string) => string>> = {
  400: tooMuch,
  401: (model) => `The provider of ${model} does not accept the key; check it on the server.`,
  402: (model) => `The account at the provider of ${model} has no credit left; the key's owner can add some.`,
  403: (model) => `The provider of ${model} does not allow this key to use the model.`,
  404: (model) => `The provider of ${model} does not know the model; check its name.`,
  413: tooMuch,
  422: tooMuch,
}

const unreachable: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
])

/** The first answer on the way down: SDKs wrap errors in errors, and Node many attempts in one. */
function find<T>(error: unknown, look: (error: Record<string, unknown>) => T | undefined, depth = 0): T | undefined {
  if (typeof error !== 'object' || error === null || depth > 4) return undefined
  const { cause, errors } = error as { cause?: unknown; errors?: unknown }
  return look(error as Record<string, unknown>) ?? find(cause ?? (Array.isArray(errors) ? errors[0] : undefined), look, depth + 1)
}

/** SDKs put the HTTP status here or there; Amazon's among the metadata. */
function statusOf({ status, statusCode, response, $metadata }: Record<string, unknown>): number | undefined {
  const { status: ofResponse } = (response ?? {}) as { status?: unknown }
  const { httpStatusCode } = ($metadata ?? {}) as { httpStatusCode?: unknown }
  return [status, statusCode, ofResponse, httpStatusCode].find((value) => typeof value === 'number')
}

function codeOf({ code }: Record<string, unknown>): string | undefined {
  return typeof code === 'string' ? code : undefined
}
