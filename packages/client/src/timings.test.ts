import { silenceMs } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { defaultTimings } from './timings.ts'

it('waits for a sign of the server as long as the server counts on', () => {
  expect(defaultTimings.silenceMs).toBe(silenceMs)
})
