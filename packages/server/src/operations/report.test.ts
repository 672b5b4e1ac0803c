import { MillraceError } from '@millrace/protocol'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createReport } from './report.ts'

const written = vi.spyOn(console, 'error')
/** What was printed, each text cut to its first line: the rest is a stack. */
const lines = () =>
  written.mock.calls.map((words) => words.map((word) => (typeof word === 'string' ? word.split('\n')[0] : word)))

beforeEach(() => {
  vi.useFakeTimers()
  written.mockReset().mockImplementation(() => {})
})
afterEach(() => void vi.useRealTimers())

const engineFailure = () =>
  new MillraceError('engine_failed', { message: 'Redis did not answer.', cause: new Error('ECONNREFUSED') })

it('prints an error at once with its cause, and after ten seconds how often it recurred', () => {
  const report = createReport()
  for (let n = 0; n < 500; n++) report(engineFailure(), { run: `r${n}` })
  report(new Error('another'))
  const text = 'engine_failed: Redis did not answer. (ECONNREFUSED)'
  expect(lines()).toEqual([
    ['millrace:', { run: 'r0' }, text],
    ['millrace:', 'Error: another'],
  ])
  vi.advanceTimersByTime(10_000)
  expect(lines().slice(2)).toEqual([['millrace:', `499 times more in 10 s: ${text}`]])
  report(engineFailure())
  expect(lines().slice(3)).toEqual([['millrace:', text]])
})

it('redacts keys in an error with its stack, and in the cause of another error', () => {
  vi.stubEnv('SOME_API_KEY', 'sk-SECRET\nsk-OTHER')
  const report = createReport()
  report(new TypeError('Headers.append: "Bearer sk-SECRET\nsk-OTHER" is an invalid header value.'))
  report(new MillraceError('model_failed', { cause: new Error('no such key: sk-OTHER') }))
  vi.unstubAllEnvs()
  expect(JSON.stringify(written.mock.calls)).toMatch(/Bearer \[redacted\].*no such key: \[redacted\]/s)
  expect(JSON.stringify(written.mock.calls)).not.toMatch(/sk-/)
})
