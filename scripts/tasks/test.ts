/** `npm test [-- filter]`: installs what the tests need and runs them. The last line has the counts. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { countsFileVariable } from '../count-reporter.ts'
import { format, none, type Report } from '../counts.ts'
import { ensureSystemPackages } from '../debian.ts'
import { ensurePage } from '../page.ts'
import { run } from '../process.ts'

const isCi = Boolean(process.env['CI'])
const missing = ensureSystemPackages()
await ensurePage()

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const file = join(folder, 'counts.json')
// Tests start some hundred processes of the server, which spend most of their start on compiling the same files.
const env = { [countsFileVariable]: file, NODE_COMPILE_CACHE: join(folder, 'compiled') }
const { code } = await run('vitest', ['run', ...process.argv.slice(2)], { env, isShown: true })
const { unexplained, ...counts } = readReport() ?? { ...none, failed: 1, unexplained: [] }
rmSync(folder, { recursive: true })

if (isCi && missing.length > 0) console.error(`In CI nothing may be missing: ${missing.join(', ')}.`)
if (isCi && unexplained.length > 0)
  console.error(`In CI no test may be skipped without "(skipped: <reason>)" in its name:\n  ${unexplained.join('\n  ')}`)
const isRefused = isCi && (missing.length > 0 || unexplained.length > 0)
// A failed run reports at least one failure, whatever the reason.
const failed = code !== 0 || isRefused ? Math.max(counts.failed, 1) : counts.failed
console.log(format({ ...counts, failed }))
process.exitCode = failed > 0 ? 1 : 0

function readReport(): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report
  } catch {
    // vitest exited before it could report.
    return undefined
  }
}
