/** A file of a session, as this package names it. */
import type { FileInfo } from '@millrace/protocol'
import type { CallOptions } from '../deadline.ts'

/** A file that is in a session. */
export interface UploadedFile extends FileInfo {
  readonly session: string
  /** Questions name it by this, and it is read by it. */
  readonly position: string
}

export interface Progress {
  /** Bytes that the server has kept, or that have arrived here. */
  readonly bytes: number
  /** Of the whole file. */
  readonly size: number
}

export interface FileOptions extends CallOptions {
  /** Called at the beginning, and whenever more bytes are there. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
}
