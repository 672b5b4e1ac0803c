/** `npm run check [-- name …]`: runs every check, or the named ones; prints the failures, then a table. */
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { type Check, checks, type Verdict } from '../checks.ts'
import { format } from '../counts.ts'

interface Result extends Verdict {
  readonly name: string
  readonly durationMs: number
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !checks.some((check) => check.name === name))
if (unknown.length > 0) {
  console.error(`There is no check "${unknown.join('", "')}"; there are: ${checks.map(({ name }) => name).join(', ')}.`)
  process.exit(2)
}
const queue = checks.filter(({ name }) => names.length === 0 || names.includes(name))
const results = await runAll(queue, Math.min(availableParallelism(), 4))
for (const { name, isPassed, output } of results) if (!isPassed) console.log(`\n── ${name} ──\n${output}`)
console.log(`\n${results.map(renderRow).join('\n')}\n`)
const failed = results.filter(({ isPassed }) => !isPassed).length
console.log(format({ passed: results.length - failed, failed, skipped: 0 }))
process.exitCode = failed > 0 ? 1 : 0

/** Results in the order of the queue, whichever ends first. */
async function runAll(queue: readonly Check[], width: number): Promise<readonly Result[]> {
  const results: Result[] = []
  const waiting = queue.entries()
  const work = async () => {
    for (const [index, check] of waiting) results[index] = await runOne(check)
  }
  await Promise.all(Array.from({ length: width }, work))
  return results
}

async function runOne({ name, run }: Check): Promise<Result> {
  const startedAt = performance.now()
  // A check that throws has failed, and must not hide the others.
  const verdict = await run().catch((error: unknown) => ({
    isPassed: false,
    output: error instanceof Error ? error.message : String(error),
  }))
  return { name, ...verdict, durationMs: performance.now() - startedAt }
}

function renderRow({ name, isPassed, output, durationMs }: Result): string {
  const note = isPassed ? output : 'see above'
  return `${isPassed ? '✓' : '✗'} ${name.padEnd(14)}${(durationMs / 1000).toFixed(1).padStart(6)} s  ${note}`.trimEnd()
}
