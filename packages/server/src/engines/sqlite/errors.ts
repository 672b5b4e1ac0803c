/** The errors that callers of the SQLite engine get for what its thread answers. */
import { MillraceError } from '@millrace/protocol'
import type { Answer, Failure, Request } from './requests.ts'

export class ThreadErrors {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  busy(): MillraceError {
    const message = `The disk under ${this.#folder} gets more requests than it can do; try again.`
    return new MillraceError('engine_busy', { message })
  }

  late(timeoutMs: number): MillraceError {
    const message = `The disk under ${this.#folder} has not responded for ${timeoutMs} ms; the request may or may not have happened. The engine continues when the disk responds.`
    return new MillraceError('engine_failed', { message })
  }

  rejected(code: NonNullable<Answer['rejected']>, { epoch, head = 0 }: Answer): MillraceError {
    return new MillraceError(code, { position: epoch === undefined ? undefined : { epoch, offset: head } })
  }

  /** Of a whole group. */
  failed({ kind, message }: Failure): MillraceError {
    const cause = new Error(message)
    if (kind === 'full') return new MillraceError('log_full', { cause })
    const folder = this.#folder
    const explanation = {
      busy: `Another server is using ${folder}; stop it, or give this one its own folder with --data.`,
      damaged: `The file millrace.db in ${folder} is damaged (${message}). Move all millrace.* away to start empty, or put a backup in their place.`,
      unusable: `The folder ${folder} cannot be used: ${message}.`,
      broken: `The disk under ${folder} fails (${message}); check the system's log. Acknowledged events are kept, and every call tries again.`,
      log_damaged: undefined,
      internal: undefined,
    }[kind]
    return new MillraceError('engine_failed', { cause, ...(explanation !== undefined && { message: explanation }) })
  }

  /** Of one request. */
  failedRequest(failure: Failure, request: Request): MillraceError {
    const { kind, message } = failure
    const { op } = request
    // Damage that SQLite finds while it reads is mostly in the log's pages; while it writes, it may be anywhere.
    const isOfLog = kind === 'log_damaged' || (kind === 'damaged' && (op === 'read' || op === 'compact'))
    return isOfLog && 'log' in request ? logDamaged(this.#folder, request.log, message) : this.failed(failure)
  }
}

/** Other logs in the file are not affected. */
export function logDamaged(folder: string, log: string, what: string): MillraceError {
  const message = `In millrace.db in ${folder} the log ${log} is damaged: ${what}. Delete it, if it is a session, or stop the server and restore a backup of the folder.`
  return new MillraceError('log_damaged', { message })
}
