import { describe, expect, it } from 'vitest'
import { type CountedModule, countModules } from './count-reporter.ts'
import { format } from './counts.ts'

type State = 'passed' | 'failed' | 'skipped' | 'pending'
const moduleOf = (states: State[], isOk = !states.includes('failed')): CountedModule => ({
  children: { allTests: () => states.map((state) => ({ result: () => ({ state }) })) },
  ok: () => isOk,
})

describe('countModules', () => {
  it('adds up the tests of all files', () => {
    const counts = countModules([moduleOf(['passed', 'passed', 'skipped']), moduleOf(['failed', 'passed'])], 0)
    expect(counts).toEqual({ passed: 3, failed: 1, skipped: 1 })
  })

  it('counts a file that could not run as one failure', () => {
    expect(countModules([moduleOf([], false), moduleOf(['passed'], false)], 0)).toEqual({ passed: 1, failed: 2, skipped: 0 })
  })

  it('counts an error outside of tests, and a test that never ended', () => {
    expect(countModules([moduleOf(['passed', 'pending'])], 1)).toEqual({ passed: 1, failed: 2, skipped: 0 })
  })
})

describe('the last line', () => {
  it('says what was skipped only when something was', () => {
    expect(format({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed')
    expect(format({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped')
  })
})
