import { describe, expect, it } from 'vitest'
import { type CountedModule, countModules } from './count-reporter.ts'
import { format } from './counts.ts'

type State = 'passed' | 'failed' | 'skipped' | 'pending'
const moduleOf = (states: State[], isOk = !states.includes('failed')): CountedModule => ({
  children: { allTests: () => states.map((state) => ({ fullName: `a test that is ${state}`, result: () => ({ state }) })) },
  ok: () => isOk,
})
const skipped = (fullName: string): CountedModule => ({
  children: { allTests: () => [{ fullName, result: () => ({ state: 'skipped' }) }] },
  ok: () => true,
})

describe('countModules', () => {
  it('adds up the tests of all files', () => {
    const counts = countModules([moduleOf(['passed', 'passed', 'skipped']), moduleOf(['failed', 'passed'])], 0)
    expect(counts).toMatchObject({ passed: 3, failed: 1, skipped: 1 })
  })

  it('counts a file that could not run as one failure', () => {
    expect(countModules([moduleOf([], false), moduleOf(['passed'], false)], 0)).toMatchObject({
      passed: 1,
      failed: 2,
      skipped: 0,
    })
  })

  it('counts an error outside of tests, and a test that never ended', () => {
    expect(countModules([moduleOf(['passed', 'pending'])], 1)).toMatchObject({ passed: 1, failed: 2, skipped: 0 })
  })

  it('names the skipped tests that give no reason', () => {
    const modules = [skipped('reads'), skipped('writes (skipped: needs two machines)'), skipped('stops (skipped: )')]
    expect(countModules(modules, 0)).toMatchObject({ skipped: 3, unexplained: ['reads', 'stops (skipped: )'] })
  })
})

describe('the last line', () => {
  it('mentions skipped tests only if there are any', () => {
    expect(format({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed')
    expect(format({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped')
  })
})
