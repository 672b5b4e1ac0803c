/** `npm run clean`: removes everything that was built; keeps what was installed. */
import { globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../install.mjs'

for (const path of globSync(['{packages,apps}/*/dist', '*.tsbuildinfo', 'coverage'], { cwd: root })) {
  rmSync(join(root, path), { recursive: true, force: true })
}
