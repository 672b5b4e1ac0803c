/** The page: built into apps/web/dist, and only when something it is made of has changed. */
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
  'packages/protocol/src',
  'package-lock.json',
].map((path) => join(root, path))
const stampFile = join(pageFolder, '.stamp')

/**
 * What the inputs look like now: their newest time and how many they are. Compared for equality,
 * not for being newer: a file that went away, or an older one that came back, is a change as well.
 */
export function readStamp(paths: readonly string[]): string {
  let newestMs = 0
  let count = 0
  for (const path of paths) visit(path)
  return `${newestMs} ${count}`

  function visit(path: string): void {
    const entry = statSync(path)
    count++
    if (entry.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name))
    else newestMs = Math.max(newestMs, entry.mtimeMs)
  }
}

export async function ensurePage(): Promise<void> {
  const stamp = readStamp(inputs)
  if (stamp === readBuiltStamp()) return
  console.error('Building the page …')
  // The stamp was read before: a file saved during the build makes the next start build again.
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
