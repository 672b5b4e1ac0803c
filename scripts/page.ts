/** Builds the page into apps/web/dist if any of its inputs has changed. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './install.mjs'
import { run } from './process.ts'

export const pageFolder = join(root, 'apps/web/dist')

const inputs = [
  'apps/web/src',
  'apps/web/public',
  'apps/web/index.html',
  'apps/web/vite.config.ts',
  'apps/web/package.json',
  'apps/web/tsconfig.json',
  'tsconfig.base.json',
  'packages/protocol/src',
  'packages/client/src',
  'package-lock.json',
].map((path) => join(root, path))
const stampFile = join(pageFolder, '.stamp')

/**
 * A hash of every input file with its size and time. Stamps are compared for equality, not for age: a file that is
 * renamed, or restored from an older copy, is a change too.
 */
export function readStamp(paths: readonly string[]): string {
  const hash = createHash('sha256')
  for (const path of paths) visit(path)
  return hash.digest('hex')

  function visit(path: string): void {
    const entry = statSync(path)
    if (entry.isDirectory()) for (const name of readdirSync(path).sort()) visit(join(path, name))
    else hash.update(`${path} ${entry.size} ${entry.mtimeMs}\n`)
  }
}

export async function ensurePage(): Promise<void> {
  const stamp = readStamp(inputs)
  if (stamp === readBuiltStamp()) return
  console.error('Building the page …')
  // The stamp was read before the build: a file that is saved meanwhile makes the next start build again.
  const { code, output } = await run('vite', ['build', '--logLevel', 'warn'], { cwd: join(root, 'apps/web') })
  if (code !== 0) throw new Error(`The page could not be built.\n${output}`)
  writeFileSync(stampFile, stamp)
}

function readBuiltStamp(): string | undefined {
  try {
    return readFileSync(stampFile, 'utf8')
  } catch {
    // Never built, or built by hand.
    return undefined
  }
}
