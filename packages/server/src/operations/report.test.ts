import { MillraceError } from '@millrace/protocol'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createReport } from './report.ts'

const written = vi.spyOn(console, 'error')
/** Of an error with its stack the first line. */
const lines = () =>
  written.mock.calls.map((words) => words.map((word) => (typeof word === 'string' ? word.split('\n')[0] : word)))

beforeEach(() => {
  vi.useFakeTimers()
  written.mockReset().mockImplementation(() => {})
})
afterEach(() => void vi.useRealTimers())

const away = () => new MillraceError('engine_failed', { message: 'Redis did not answer.', cause: new Error('ECONNREFUSED') })

it('says an error at once with its cause, and after ten seconds how often it came again', () => {
  const report = createReport()
  for (let n = 0; n < 500; n++) report(away(), { run: `r${n}` })
  report(new Error('another'))
  const text = 'engine_failed: Redis did not answer. (ECONNREFUSED)'
  expect(lines()).toEqual([
    ['millrace:', { run: 'r0' }, text],
    ['millrace:', 'Error: another'],
  ])
  vi.advanceTimersByTime(10_000)
  expect(lines().slice(2)).toEqual([[`millrace: 499 times more in 10 s: ${text}`]])
  report(away())
  expect(lines().slice(3)).toEqual([['millrace:', text]])
})

it('leaves keys out of an error that it says in full, and of the cause of another', () => {
  vi.stubEnv('SOME_API_KEY', 'sk-SECRET\nsk-OTHER')
  const report = createReport()
  report(new TypeError('Headers.append: "Bearer sk-SECRET\nsk-OTHER" is an invalid header value.'))
  report(new MillraceError('model_failed', { cause: new Error('no such key: sk-OTHER') }))
  vi.unstubAllEnvs()
  expect(JSON.stringify(written.mock.calls)).toMatch(/Bearer \[redacted\].*no such key: \[redacted\]/s)
  expect(JSON.stringify(written.mock.calls)).not.toMatch(/sk-/)
})
