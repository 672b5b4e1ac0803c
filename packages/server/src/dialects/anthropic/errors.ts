/** Errors as Anthropic's clients read them: `{"type":"error","error":{"type","message"}}`. */
import { encodeJson, errors, type MillraceError, type PublicError } from '@millrace/protocol'
import type { FaceError } from '../../gateway/face.ts'
import { retryHeader } from '../shared/retries.ts'

/** Of a run that ended without an answer, where its server died. */
export const interrupted = { code: 'server_stopping', message: 'The server of the run ended before the run did.' } as const

export function errorBody({ code, message }: Pick<PublicError, 'code' | 'message'>): object {
  return { type: 'error', error: { type: typeOf(errors[code].status), message, code } }
}

export function formatAnthropicError(error: MillraceError): FaceError {
  return { body: encodeJson(errorBody(error.toPublic())), headers: retryHeader(error) }
}

const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

function typeOf(status: number): string {
  return types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
}
