/**
 * Counts tests for the last line of `npm test`. The task prints it, not the reporter: vitest may print after its
 * reporters, and a run that crashed has no report at all.
 */
import { writeFileSync } from 'node:fs'
import process from 'node:process'
import type { Reporter, TestModule } from 'vitest/node'
import { format, type Report } from './counts.ts'

/** Names the file for the counts; without it they are printed. */
export const countsFileVariable = 'TEST_COUNTS_FILE'

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly CountedModule[], unhandled: readonly unknown[]): void {
    const counts = countModules(modules, unhandled.length)
    const file = process.env[countsFileVariable]
    if (file) writeFileSync(file, JSON.stringify(counts))
    else process.stdout.write(`${format(counts)}\n`)
  }
}

/** In the name of a test or its suite: `it.skip('… (skipped: needs two machines)')`. */
const reason = /\(skipped: [^)]+\)/

type Result = 'passed' | 'failed' | 'skipped' | 'pending'

/** The used part of a TestModule, so that the counting can be tested without running vitest in vitest. */
export interface CountedModule {
  readonly children: { allTests(): Iterable<CountedTest> }
  ok(): boolean
}

interface CountedTest {
  readonly fullName: string
  result(): { readonly state: Result }
}

export function countModules(modules: readonly CountedModule[], unhandledErrors: number): Report {
  // An error outside of any test is a failure too.
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 }
  const unexplained: string[] = []
  for (const module of modules) {
    const before = counts.failed
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      // A test that never ended did not pass.
      counts[state === 'pending' ? 'failed' : state]++
      if (state === 'skipped' && !reason.test(test.fullName)) unexplained.push(test.fullName)
    }
    // A file that could not be loaded, or whose hook threw, contains no failed test.
    if (!module.ok() && counts.failed === before) counts.failed++
  }
  return { ...counts, unexplained }
}

// Fails to compile when vitest's type changes.
export type Accepted = TestModule extends CountedModule ? true : never
