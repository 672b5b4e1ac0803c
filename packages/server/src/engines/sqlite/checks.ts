/** Checksums stored with each row, because SQLite has none of its own. */
import { crc32 } from 'node:zlib'
import type { StoredEvent } from '../shared/packing.ts'
import type { Log } from './schema.ts'

export function sumOfEvent(log: number, { offset, type, time, data }: StoredEvent): number {
  return crc32(data, crc32(`${log} ${offset} ${time} ${typeof data} ${type}`))
}

export function sumOfLog({ id, name, epoch, start, head, bytes, touched, written }: Log): number {
  return crc32(`${id} ${epoch} ${start} ${head} ${bytes} ${touched} ${written} ${name}`)
}

/** A row of an older version has no sum, and passes. */
export function isSum(kept: number | null, sum: number): boolean {
  return kept === null || kept === sum
}

/** Damage of the file, with SQLite's own code for it. */
export function damage(what: string): Error {
  return Object.assign(new Error(what), { errcode: 11 })
}

/** Damage of one log, which SQLite does not detect. */
export function logDamage(what: string): Error {
  return Object.assign(new Error(what), { code: 'LOG_DAMAGED' })
}
