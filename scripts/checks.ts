/** The checks of `npm run check`, in the order they are started: the longest first. */
import { buildPackages, packageFolders } from './build-packages.ts'
import { checkBuiltCommand } from './built-command.ts'
import { sizes } from './client-size.ts'
import { ensurePage, pageFolder } from './page.ts'
import { firstRouteBytesMax, measureFirstRoute } from './page-size.ts'
import { run } from './process.ts'
import { findProblems, listFiles } from './repository.ts'
import { findUnclearWords, wordFiles } from './words.ts'

export interface Verdict {
  readonly isPassed: boolean
  /** The reason of a failure; of a success a figure worth knowing. */
  readonly output: string
}

export interface Check {
  readonly name: string
  readonly run: () => Promise<Verdict>
}

type Command = readonly [command: string, ...args: string[]]

/** Folders with code; generated and installed ones are not in it. */
const codeFolders = [
  'packages',
  'apps/web/src',
  'apps/web/test',
  'apps/web/vite.config.ts',
  'conformance',
  'bench',
  'examples',
  'scripts',
]

/** Started once, used by two checks. */
let page: Promise<void> | undefined
const builtPage = () => (page ??= ensurePage())

export const checks: readonly Check[] = [
  { name: 'exports', run: checkExports },
  { name: 'lint', run: () => all(['biome', 'lint', '--error-on-warnings'], ['oxlint', '--type-aware', '--deny-warnings']) },
  { name: 'types', run: () => all(['tsc', '--noEmit'], ['tsc', '--noEmit', '-p', 'apps/web']) },
  { name: 'page size', run: checkPageSize },
  ...sizes.map(({ name, bytesMax, measure }) => ({
    name: `${name} size`,
    run: async () => checkBytes(await measure(), bytesMax),
  })),
  { name: 'dependencies', run: () => all(['depcruise', '--output-type', 'err', ...codeFolders]) },
  { name: 'unused', run: () => all(['knip']) },
  { name: 'format', run: () => all(['biome', 'check', '--linter-enabled=false', '--error-on-warnings']) },
  { name: 'repository', run: async () => toVerdict(findProblems()) },
  { name: 'words', run: async () => toVerdict(findUnclearWords(listFiles(...wordFiles))) },
]

/** Runs every command, so that one failure does not hide another. */
async function all(...commands: readonly Command[]): Promise<Verdict> {
  const failures: string[] = []
  for (const [command, ...args] of commands) {
    const { code, output } = await run(command, args)
    if (code !== 0) failures.push(`$ ${command} ${args.join(' ')}\n${output.trim()}`)
  }
  return { isPassed: failures.length === 0, output: failures.join('\n\n') }
}

/** Checks the packages as their users get them: built, started, packed and resolved. */
async function checkExports(): Promise<Verdict> {
  await builtPage()
  const built = await buildPackages()
  if (built.code !== 0) return { isPassed: false, output: built.output }
  const problems = await checkBuiltCommand()
  if (problems.length > 0) return toVerdict(problems)
  return all(
    ...packageFolders.map((folder): Command => ['publint', 'run', folder, '--strict']),
    ...packageFolders.map((folder): Command => ['attw', '--pack', folder, '--profile', 'esm-only']),
  )
}

async function checkPageSize(): Promise<Verdict> {
  await builtPage()
  const { bytes, files } = measureFirstRoute(pageFolder)
  const output = `${(bytes / 1024).toFixed(1)} KiB of ${firstRouteBytesMax / 1024} in ${files.length} file${files.length === 1 ? '' : 's'}`
  return { isPassed: bytes <= firstRouteBytesMax, output }
}

function checkBytes(bytes: number, bytesMax: number): Verdict {
  return { isPassed: bytes <= bytesMax, output: `${(bytes / 1024).toFixed(1)} KiB of ${bytesMax / 1024}` }
}

function toVerdict(problems: readonly string[]): Verdict {
  return { isPassed: problems.length === 0, output: problems.join('\n') }
}
