import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqliteEngine } from 'millrace'
import { onTestFinished } from 'vitest'
import { engineConformance } from '../src/index.ts'

engineConformance({
  name: 'sqlite',
  make(limits) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    return sqliteEngine({ folder, ...limits })
  },
})
