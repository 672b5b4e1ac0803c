/** What an error of the database, or of a file beside it, is to whoever asked. */
import type { Failure } from './requests.ts'

/**
 * By SQLite's result codes, the extended before the primary: https://sqlite.org/rescode.html. An I/O error is nearly
 * always a full disk, unless it comes of reading, writing or flushing: a write that lacks room is 13.
 */
const kinds: Readonly<Record<number | string, Failure['kind']>> = {
  // A statement that does not fit the tables: they are not those that were made.
  1: 'damaged',
  5: 'busy',
  10: 'full',
  11: 'damaged',
  13: 'full',
  26: 'damaged',
  266: 'broken',
  522: 'broken',
  778: 'broken',
  1034: 'broken',
  1290: 'broken',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EIO: 'broken',
  EROFS: 'broken',
  LOG_DAMAGED: 'log_damaged',
}

export function toFailure(error: unknown): Failure {
  const { message, code = '', errcode = 0 } = error as NodeJS.ErrnoException & { errcode?: number }
  const kind = kinds[errcode] ?? kinds[errcode & 0xff] ?? kinds[code]
  return { kind: kind ?? (isOfFile(error) ? 'unusable' : 'internal'), message }
}

/** What is wrong with one request, or with the log that it is about, is wrong with no other. */
export function isOfOne({ kind }: Failure): boolean {
  return kind === 'damaged' || kind === 'log_damaged' || kind === 'internal'
}

function isOfFile(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined
}
