import { limits } from '@millrace/protocol'
import { expect, test } from 'vitest'
import { lanesShownMax, questionLengthMax } from './limits.ts'

test('the page lets through what the server takes', () => {
  expect(questionLengthMax).toBe(limits.queryLengthMax)
  expect(lanesShownMax).toBeLessThanOrEqual(limits.lanesMax)
})
