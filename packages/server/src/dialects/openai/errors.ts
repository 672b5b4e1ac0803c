/** Errors as OpenAI's clients read them: `{"error":{"message","type","param","code"}}`. */
import { MillraceError, type RunEnd } from '@millrace/protocol'

export interface OpenAiError {
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string
}

/** Clients tell kinds of errors apart by the status; `type` is for people and logs. */
const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  429: 'rate_limit_error',
}

export function openAiError(error: MillraceError): OpenAiError {
  const { code, message } = error.toPublic()
  const type = types[error.status] ?? (error.status < 500 ? 'invalid_request_error' : 'server_error')
  return { message, type, param: paramOf(message), code }
}

/** Of a run that has no error of its own. */
export const interruptedMessage = 'The server of the run died or was restarted; the text before it is kept, ask again.'

/** Of a run that ended as failed or interrupted. */
export function recordedError({ status, error }: Pick<RunEnd, 'status' | 'error'>): OpenAiError {
  if (error !== undefined) return openAiError(new MillraceError(error.code, { message: error.message }))
  return { message: interruptedMessage, type: 'server_error', param: null, code: status }
}

/** Messages about a part of the request begin with its name. */
function paramOf(message: string): string | null {
  return /^`([^`]+)` /.exec(message)?.[1] ?? null
}
