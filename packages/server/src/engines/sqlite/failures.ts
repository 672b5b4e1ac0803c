/** Classifies the errors of the database and of the files beside it. */
import type { Failure } from './requests.ts'

/**
 * By SQLite's result codes, extended before primary: https://sqlite.org/rescode.html. An I/O error is nearly always a
 * full disk, except when reading, writing or flushing: a write without space is 13.
 */
const kinds: Readonly<Record<number | string, Failure['kind']>> = {
  // A statement does not match the tables: they are not the ones that were created.
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

/** The failure is of one request or its log; other requests of the group can succeed. */
export function isOfOne({ kind }: Failure): boolean {
  return kind === 'damaged' || kind === 'log_damaged' || kind === 'internal'
}

function isOfFile(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined
}
