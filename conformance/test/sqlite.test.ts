import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type EngineLimits, numbered, numbers, open, readAll, rejectionOf } from '../src/engine/support.ts'
import { makeSmallDisk, smallDiskMissing } from '../src/faults/folder.ts'
import { engineConformance, ephemeralConformance } from '../src/index.ts'

function make(limits: EngineLimits & { readonly totalBytesMax?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return sqliteEngine({ folder, ...limits })
}

engineConformance({ name: 'sqlite', make, makeBounded: (totalBytesMax) => make({ totalBytesMax }) })
ephemeralConformance({ name: 'sqlite', makeNodes: () => [make()] })

const missing = smallDiskMissing()

describe.skipIf(missing)(`sqlite engine on a small disk${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it('starts on a full disk as soon as there is space', async () => {
    const folder = makeSmallDisk(1024)
    const filler = join(folder, 'filler')
    writeFileSync(filler, new Uint8Array(statfsSync(folder).bavail * statfsSync(folder).bsize - 8192))
    const engine = await open(() => sqliteEngine({ folder }))
    expect(await rejectionOf(engine.append('log', numbered(1, 1)))).toBe('log_full')
    rmSync(filler)
    expect((await engine.append('log', numbered(1, 1))).position.offset).toBe(1)
  })

  it('returns events while the disk is full, but none that are too old, although it cannot delete them', async () => {
    const folder = makeSmallDisk(4 * 1024)
    onTestFinished(() => void vi.useRealTimers())
    vi.useFakeTimers({ toFake: ['Date'] })
    const engine = await open(() => sqliteEngine({ folder, ageMsMax: 60_000 }))
    // More than is cached, so that it is read from the disk.
    for (let n = 1; n <= 1001; n += 500) await engine.append('log', numbered(n, n + 499))
    vi.advanceTimersByTime(50_000)
    for (let n = 1501; n <= 2501; n += 500) await engine.append('log', numbered(n, n + 499))
    writeFileSync(join(folder, 'filler'), new Uint8Array(statfsSync(folder).bavail * statfsSync(folder).bsize))
    vi.advanceTimersByTime(20_000)
    const [full, first, second] = await Promise.all([
      rejectionOf(engine.append('log', [{ type: 'm', data: 'x'.repeat(10_000) }])),
      readAll(engine, 'log'),
      readAll(engine, 'log'),
    ])
    expect(full).toBe('log_full')
    expect(numbers(first)).toEqual(numbers(numbered(1501, 3000) as never))
    expect(second).toEqual(first)
    rmSync(join(folder, 'filler'))
    await engine.append('log', numbered(3001, 3001))
    expect(numbers(await readAll(engine, 'log'))).toHaveLength(1501)
  })
})
