/** Who runs the server is told of what was not the client's mistake, and of nothing else. */
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
])('of %s, caused by %s: %s', (code, cause, isTold) => {
  const error = new MillraceError(code, { cause })
  const onError = vi.fn()
  expect(toMillraceError(error, onError)).toBe(error)
  expect(onError.mock.calls).toEqual(isTold ? [[error]] : [])
})

it('of what has no code, as it was thrown', () => {
  const onError = vi.fn()
  expect(toMillraceError(cause, onError)).toMatchObject({ code: 'internal', cause })
  expect(onError.mock.calls).toEqual([[cause]])
})
