/** The published tarballs, before anything is built. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { packageFolders } from './build-packages.ts'

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
}

it.each(packageFolders)('%s has its README, its licence, and every source that it exports', (folder) => {
  const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder, encoding: 'utf8' })
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  const paths = files.map(({ path }) => path)
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
  const sources = Object.values(exports).flatMap((target) =>
    typeof target === 'object' ? [target['millrace-source']?.slice(2)] : [],
  )
  expect(sources.length).toBeGreaterThan(0)
  expect(paths).toEqual(expect.arrayContaining(['README.md', 'LICENSE', ...sources]))
  expect(paths.filter((path) => path.endsWith('.test.ts'))).toEqual([])
})
