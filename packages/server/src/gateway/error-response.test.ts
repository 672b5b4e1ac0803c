/** `onError` gets every error that is not the client's fault, and no other. */
import { type ErrorCode, MillraceError } from '@millrace/protocol'
import { expect, it, vi } from 'vitest'
import { toMillraceError } from './error-response.ts'

const cause = new Error('why')

it.each<[ErrorCode, Error | undefined, boolean]>([
  ['engine_failed', undefined, true],
  ['log_damaged', undefined, true],
  ['log_full', undefined, true],
  ['model_unavailable', cause, true],
  ['model_unavailable', undefined, false],
  ['server_full', undefined, false],
  ['invalid_json', cause, false],
])('reports %s with the cause %s: %s', (code, cause, isReported) => {
  const error = new MillraceError(code, { cause })
  const onError = vi.fn()
  expect(toMillraceError(error, onError)).toBe(error)
  expect(onError.mock.calls).toEqual(isReported ? [[error]] : [])
})

it('reports an error without a code as it was thrown', () => {
  const onError = vi.fn()
  expect(toMillraceError(cause, onError)).toMatchObject({ code: 'internal', cause })
  expect(onError.mock.calls).toEqual([[cause]])
})
