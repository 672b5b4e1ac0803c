/** Builds the published packages: dist of protocol, client, server and conformance by tsc, with the page and the guide's documents. */
import { cpSync, globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './install.mjs'
import { ensurePage, pageFolder } from './page.ts'
import { type Ended, run } from './process.ts'

/** In the order of their dependencies. */
export const packageFolders = ['packages/protocol', 'packages/client', 'packages/server', 'packages/conformance'].map((path) =>
  join(root, path),
)

const guideDocuments = ['README*.md', 'PROTOCOL.md', 'docs/**/*.md']

/** Stops at the first package that does not compile. */
export async function buildPackages(): Promise<Ended> {
  await ensurePage()
  let ended: Ended = { code: 0, output: '', durationMs: 0 }
  for (const folder of packageFolders) {
    // A file whose source was deleted must not be published again.
    rmSync(join(folder, 'dist'), { recursive: true, force: true })
    ended = await run('tsc', ['-p', 'tsconfig.build.json'], { cwd: folder })
    if (ended.code !== 0) return ended
  }
  const dist = join(root, 'packages/server/dist')
  cpSync(pageFolder, join(dist, 'web'), { recursive: true, filter: (path) => !path.endsWith('.stamp') })
  for (const path of globSync(guideDocuments, { cwd: root })) cpSync(join(root, path), join(dist, 'guide', path))
  return ended
}
