/**
 * Every test of the repository, in two projects: `node`, and `browser`, which drives a real
 * Chromium from Node and therefore runs one file at a time. No retries: a flaky test is a bug.
 */
import process from 'node:process'
import { defaultClientConditions, defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

const browserTests = 'apps/web/test/**/*.browser.test.ts'
// The workspace's packages are read as they are written, in tests as in `npm start`.
const resolve = { conditions: ['millrace-source', ...defaultClientConditions] }
const ssr = { resolve: { conditions: ['millrace-source', ...defaultServerConditions] } }

export default defineConfig({
  resolve,
  ssr,
  test: {
    reporters: ['default', './scripts/count-reporter.ts'],
    retry: 0,
    passWithNoTests: false,
    // Most of them wait most of the time. CI has the time, and is to say what the code does and not how busy two cores are.
    maxWorkers: process.env.CI ? 1 : 2,
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'node',
          environment: 'node',
          include: ['{packages,apps,conformance,examples,bench,scripts}/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**', browserTests],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'browser',
          environment: 'node',
          include: [browserTests],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 90_000,
          // After the others: a browser beside them on two cores only measures the waiting.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
