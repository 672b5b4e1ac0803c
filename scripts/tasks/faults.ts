/**
 * `npm run faults [-- filter]`: every fault of conformance/test/faults-*.test.ts at least fifty times, one at a time, with
 * the results in conformance/results/faults.json. `FAULT_ROUNDS` sets another number, `FAULT_SEED` runs one seed.
 */
import process from 'node:process'
import { ensureSystemPackages } from '../debian.ts'
import { root } from '../install.mjs'
import { run } from '../process.ts'

const missing = ensureSystemPackages()
if (missing.length > 0) console.error(`Not all of it can be done without ${missing.join(', ')}.`)
const filter = process.argv.length > 2 ? process.argv.slice(2) : ['conformance/test/faults-']
const env = { FAULT_ROUNDS: '50', FAULT_RESULTS: `${root}conformance/results/faults.json`, ...process.env }
const { code } = await run('vitest', ['run', '--no-file-parallelism', ...filter], { env, isShown: true })
process.exitCode = code
