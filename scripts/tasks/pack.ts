/** `npm run pack`: the tarballs of the published packages, in dist/. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { buildPackages, packageFolders } from '../build-packages.ts'
import { root } from '../install.mjs'
import { run } from '../process.ts'

const folder = join(root, 'dist')
const built = await buildPackages()
process.stdout.write(built.output)
process.exitCode = built.code
if (built.code === 0) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const cwd of packageFolders) {
    const { code, output } = await run('npm', ['pack', '--pack-destination', folder], { cwd })
    if (code !== 0) process.stdout.write(output)
    process.exitCode ||= code
  }
}
