/** Folders that are gone when the test is, one of them on a disk of its own that is soon full. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-fault-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Why there can be no small disk here; undefined where there can. */
export function smallDiskMissing(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-mount-'))
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder])
  if (status === 0) spawnSync('umount', [folder])
  rmSync(folder, { recursive: true, force: true })
  return status === 0 ? undefined : 'may not mount a tmpfs'
}

/** A folder on a disk of so many KiB. Servers that use it MUST be made afterwards, and so end before it does. */
export function makeSmallDisk(kib: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'none', folder])
  if (status !== 0) throw new Error(`mount: ${String(stderr)}`)
  onTestFinished(() => {
    spawnSync('umount', ['--lazy', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}
