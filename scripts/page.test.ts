import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readStamp } from './page.ts'

describe('readStamp', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-stamp-'))
    mkdirSync(join(folder, 'src'))
    writeFileSync(join(folder, 'src/a.ts'), 'a')
    writeFileSync(join(folder, 'src/b.ts'), 'b')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('is the same while nothing changes', () => {
    expect(readStamp([folder])).toBe(readStamp([folder]))
  })

  it('changes when a file is saved, added or deleted', () => {
    const seen = new Set([readStamp([folder])])
    utimesSync(join(folder, 'src/a.ts'), 2_000_000_000, 2_000_000_000)
    seen.add(readStamp([folder]))
    writeFileSync(join(folder, 'src/c.ts'), 'c')
    seen.add(readStamp([folder]))
    rmSync(join(folder, 'src/b.ts'))
    rmSync(join(folder, 'src/c.ts'))
    seen.add(readStamp([folder]))
    expect(seen.size).toBe(4)
  })

  it('changes when a file is renamed, or replaced by an older one', () => {
    for (const name of ['a.ts', 'b.ts']) utimesSync(join(folder, 'src', name), 2_000_000_000, 2_000_000_000)
    const seen = new Set([readStamp([folder])])
    renameSync(join(folder, 'src/a.ts'), join(folder, 'src/c.ts'))
    seen.add(readStamp([folder]))
    utimesSync(join(folder, 'src/b.ts'), 1_000_000_000, 1_000_000_000)
    seen.add(readStamp([folder]))
    expect(seen.size).toBe(3)
  })
})
