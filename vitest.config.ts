/**
 * Every test of the repository, in five projects: `node`; `faults`, after which a server has a time to recover; `alone`, one file
 * at a time, because they measure time or memory; `browser`, likewise, which drives a real Chromium from Node; and `waiting`. No
 * retries: a flaky test is a bug.
 */
import { defaultClientConditions, defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'
import { LongFirst } from './scripts/long-first.ts'

const browserTests = 'apps/web/test/**/*.browser.test.ts'
const faultTests = ['conformance/test/faults-*.test.ts']
const aloneTests = [
  'apps/web/test/frames.test.ts',
  'conformance/test/{attacks-*,client-memory,client-network,crowds,doctor,leaks,memory}.test.ts',
  'packages/server/test/idle-connections.test.ts',
]
// They wait for most of their time, side by side.
const waitingTests = ['conformance/test/durable-streams-*.test.ts']
const excluded = ['**/node_modules/**', '**/dist/**']
// The workspace's packages are read as they are written, in tests as in `npm start`.
const resolve = { conditions: ['millrace-source', ...defaultClientConditions] }
const ssr = { resolve: { conditions: ['millrace-source', ...defaultServerConditions] } }
// Bounds of what never comes, not of what is slow: a busy machine pauses for seconds, and a start of a browser takes ten.
const patience = { testTimeout: 60_000, hookTimeout: 90_000, expect: { poll: { timeout: 10_000 } } }

export default defineConfig({
  resolve,
  ssr,
  test: {
    reporters: ['default', './scripts/count-reporter.ts'],
    retry: 0,
    passWithNoTests: false,
    sequence: { sequencer: LongFirst },
    // Most of them wait most of the time: with two, two cores were idle for more than half of it.
    maxWorkers: 3,
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'node',
          environment: 'node',
          ...patience,
          include: ['{packages,apps,conformance,examples,bench,scripts}/**/*.test.ts'],
          exclude: [...excluded, browserTests, ...faultTests, ...aloneTests, ...waitingTests],
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'faults',
          environment: 'node',
          ...patience,
          include: faultTests,
          exclude: excluded,
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'alone',
          environment: 'node',
          ...patience,
          include: aloneTests,
          exclude: excluded,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'waiting',
          environment: 'node',
          ...patience,
          include: waitingTests,
          exclude: excluded,
          // With more, its bounds of a second or two were missed on a busy machine.
          maxWorkers: 2,
          // Side by side also in a file. Fewer than the tests between two of the suite that use one path.
          maxConcurrency: 10,
          sequence: { groupOrder: 3, concurrent: true },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'browser',
          environment: 'node',
          ...patience,
          include: [browserTests],
          globalSetup: 'apps/web/test/support/built.ts',
          fileParallelism: false,
          // After the others: a browser beside them on two cores only measures the waiting.
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
