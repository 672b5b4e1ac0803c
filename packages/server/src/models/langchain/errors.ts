/** Maps a provider's errors to codes. What leaves the server says what to do, and contains no keys, addresses or stacks. */
import { MillraceError } from '@millrace/protocol'
import { saysFailure } from './end.ts'
import type { ProviderFault, ProviderReport } from './provider-stream.ts'

/** Why an answer is incomplete, by how the provider's stream ended; undefined if it is complete, or was not read here. */
export function failureOf(
  { isRead, isDone, hasContent, reason, fault }: ProviderReport,
  model: string,
): MillraceError | undefined {
  if (fault !== undefined) return failureOfFault(fault, model)
  if (!isRead || reason !== undefined || (isDone && hasContent)) return undefined
  return failed(`The provider of ${model} ended its stream ${hasContent ? 'in the middle of' : 'without'} an answer${kept}`)
}

export function failureOfReason(reason: string, model: string): MillraceError | undefined {
  if (!saysFailure(reason)) return undefined
  return failed(`The provider of ${model} broke off with "${reason.replaceAll(/[^\w .:/-]/g, '').slice(0, 40)}"${kept}`)
}

function failureOfFault({ kind, cause }: ProviderFault, model: string): MillraceError {
  const provider = `The provider of ${model}`
  if (kind === 'error') return toMillraceError(new ProviderError(cause), model)
  if (kind === 'broken')
    return failed(`The connection to the provider of ${model} broke before the end of the answer${kept}`, cause)
  if (kind === 'page') return failed(`${provider} answered with a web page; check its address on the server.`)
  if (kind === 'json') return failed(`${provider} answered with JSON that is no answer; check its address on the server.`)
  return failed(`${provider} sent a piece of its stream that is ${kind === 'garbage' ? 'not JSON' : 'too large'}${kept}`)
}

const kept = '; what it had said is kept.'

/** An error inside a provider's stream. Its text is for the operator only. */
class ProviderError extends Error {
  constructor(reported: unknown) {
    super(`the provider said: ${(JSON.stringify(reported) ?? String(reported)).slice(0, 500)}`, {
      cause: typeof reported === 'string' ? { type: reported } : reported,
    })
  }
}

export function toMillraceError(error: unknown, model: string): MillraceError {
  if (error instanceof MillraceError) return error
  const cause = error
  const code = find(error, codeOf)
  const status = find(error, statusOf) ?? find(error, statusByWord)
  // Providers respond with 429 here too, but waiting does not help.
  const isSpent = status === 402 || find(error, wordsOf)?.includes('insufficient_quota') === true
  const refusal = refusals[isSpent ? 402 : (status ?? 0)]
  if (refusal !== undefined) {
    return new MillraceError(status === 401 || status === 403 ? 'model_unauthorized' : 'model_rejected', {
      cause,
      message: refusal(model),
    })
  }
  if (status === 429) return new MillraceError('model_rate_limited', { cause })
  if (status !== undefined) return failed(`The provider of ${model} answered with status ${status}; try again later.`, cause)
  if (unreachable.has(code ?? '')) return failed(`The provider of ${model} cannot be reached; try again later.`, cause)
  if (broken.has(code ?? '')) return failed(`The connection to the provider of ${model} broke; try again later.`, cause)
  if (error instanceof ProviderError) {
    // A code may be shown; a sentence may contain anything.
    const what = /^[\w.:-]{1,40}$/.test(code ?? '') ? `the error "${code}"` : 'an error'
    return failed(`The provider of ${model} sent ${what}${kept}`, cause)
  }
  return new MillraceError('model_failed', { cause })
}

function failed(message: string, cause?: unknown): MillraceError {
  return new MillraceError('model_failed', { message, cause })
}

const tooMuch = (model: string) =>
  `The provider of ${model} does not accept the request as it is; a shorter conversation may help.`

const refusals: Readonly<Record<number, (model: string) => string>> = {
  400: tooMuch,
  401: (model) => `The provider of ${model} does not accept the key; check it on the server.`,
  402: (model) => `The account at the provider of ${model} has no credit left; the key's owner can add some.`,
  403: (model) => `The provider of ${model} does not allow this key to use the model; check it on the server.`,
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

const broken: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/** Codes of providers where there is no HTTP status: `rate_limit_exceeded`, `authentication_error`. The first match wins. */
const statusWords: readonly (readonly [RegExp, number])[] = [
  [/insufficient_?quota|billing|credit|payment/i, 402],
  [/rate.?limit|too.?many.?requests|throttl|resource.?exhausted/i, 429],
  [/(invalid|incorrect).?api.?key|authentication|unauthori[sz]ed/i, 401],
  [/permission|forbidden/i, 403],
  [/model.?not.?found|not_found_error/i, 404],
  [/context.?length|invalid_request/i, 400],
]

/** The first HTTP response in the chain of causes: SDKs wrap errors in errors, and Node several attempts in one. */
function find<T>(error: unknown, look: (error: Record<string, unknown>) => T | undefined, depth = 0): T | undefined {
  if (typeof error !== 'object' || error === null || depth > 4) return undefined
  const { cause, errors } = error as { cause?: unknown; errors?: unknown }
  return look(error as Record<string, unknown>) ?? find(cause ?? (Array.isArray(errors) ? errors[0] : undefined), look, depth + 1)
}

/** SDKs put the HTTP status in various fields, Amazon's in the metadata, gateways in the code, as a number or a text. */
function statusOf({ status, statusCode, response, $metadata, code }: Record<string, unknown>): number | undefined {
  const { status: ofResponse } = (response ?? {}) as { status?: unknown }
  const { httpStatusCode } = ($metadata ?? {}) as { httpStatusCode?: unknown }
  const reported = [status, statusCode, ofResponse, httpStatusCode, code].map((value) =>
    typeof value === 'string' ? Number(value) : value,
  )
  return reported.find((value): value is number => typeof value === 'number' && value >= 400 && value < 600)
}

function statusByWord(error: Record<string, unknown>): number | undefined {
  const words = wordsOf(error)
  return words === undefined ? undefined : statusWords.find(([word]) => word.test(words))?.[1]
}

function wordsOf({ code, type, status }: Record<string, unknown>): string | undefined {
  const words = [code, type, status].filter((word) => typeof word === 'string')
  return words.length === 0 ? undefined : words.join(' ')
}

function codeOf({ code, type }: Record<string, unknown>): string | undefined {
  return [code, type].find((word): word is string => typeof word === 'string')
}
