/** Uploads of files to sessions, whole or in parts, over any server: PROTOCOL.md#uploads. */
import { hash, randomBytes } from 'node:crypto'
import { type FileInfo, MillraceError, limits as sizes } from '@millrace/protocol'
import { type CompletingOptions, completeUpload } from './complete.ts'
import {
  appendPiece,
  countPieces,
  createFileLog,
  deleteFileLog,
  deleteFilesOf,
  type FileLog,
  offsetOf,
  openFileLog,
  type StoredInfo,
} from './file-log.ts'
import { checkBeginning } from './media-types.ts'
import { receivePieces } from './receive.ts'
import { startSweeping } from './sweep.ts'
import { addUnfinished, isAmong, removeUnfinished } from './unfinished.ts'

export interface NewUpload extends FileInfo {
  readonly session: string
  /** Who uploads it. */
  readonly by: string
  /** Unfinished uploads that it may have. */
  readonly inFlightMax: number
}

/** An upload as its client sees it. */
export interface Upload extends FileInfo {
  readonly session: string
  readonly upload: string
  /** Bytes that are kept: the next ones begin here. */
  readonly offset: number
  /** Of the file in its session, once it is complete. */
  readonly position?: string
}

export interface Uploads {
  /** Throws `file_empty` and `file_too_large`. */
  check(file: Pick<FileInfo, 'size'>): void
  /** Rejects with `file_empty`, `file_too_large`, `session_not_found` and `too_many_uploads`. */
  begin(upload: NewUpload): Promise<FileLog>
  /** Rejects with `upload_not_found`, also for an upload of somebody else. */
  find(session: string, upload: string, by: string): Promise<FileLog>
  /**
   * Keeps the bytes of a body from the offset of the upload on, in whole pieces; the last one completes it. Rejects with
   * `request_timeout`, `file_type_mismatch`, which ends the upload, and `upload_offset_mismatch`.
   */
  receive(file: FileLog, body: Body): Promise<FileLog>
  cancel(file: FileLog): Promise<void>
  /** Of the host's own code. The same bytes in the same session are the same file. Resolves with its position. */
  keep(file: FileBytes): Promise<string>
  /** Of a session that was deleted. */
  deleteOf(session: string): Promise<void>
}

export interface FileBytes extends Omit<FileInfo, 'size'> {
  readonly session: string
  readonly by: string
  readonly bytes: Uint8Array
}

export interface Body {
  readonly stream: ReadableStream<Uint8Array> | null
  /** Called with each number of bytes that has arrived. */
  readonly onBytes: (bytes: number) => void
}

export interface UploadsOptions extends Omit<CompletingOptions, 'now'> {
  readonly limits: { readonly uploadBytesMax: number; readonly uploadMsMax: number; readonly requestMs: number }
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
  readonly now?: () => number
}

/** The same bytes would be rejected again. */
const finalCodes = new Set<unknown>(['file_type_mismatch', 'file_too_large'])
/** Of an append to a log that another request has changed. */
const movedCodes = new Set<unknown>(['upload_offset_mismatch', 'upload_not_found', 'head_moved'])
const attemptsMax = 8

export function toUpload(file: FileLog): Upload {
  const { session, upload, position, info } = file
  const { mediaType, name, size } = info
  const named = name === undefined ? {} : { name }
  return { session, upload, offset: offsetOf(file), mediaType, ...named, size, ...(position !== undefined && { position }) }
}

export function createUploads({ engine, openLog, limits, observer, signal, now = Date.now }: UploadsOptions): Uploads {
  const { uploadBytesMax, uploadMsMax, requestMs } = limits
  const completing = { engine, openLog, observer, now }
  let lastBeganAt = 0
  // Twice as old as allowed: a request that completes an upload may be in progress.
  startSweeping({ engine, ageMsMax: 2 * uploadMsMax, signal, now })
  return { check, begin, find, receive, cancel, keep, deleteOf: (session) => deleteFilesOf(engine, session) }

  function check({ size }: Pick<FileInfo, 'size'>): void {
    if (size === 0) throw new MillraceError('file_empty')
    if (size > uploadBytesMax) {
      const message = `The file has ${size} bytes and may have ${uploadBytesMax}; send a smaller one.`
      throw new MillraceError('file_too_large', { message })
    }
  }

  async function begin({ session, by, inFlightMax, mediaType, name, size }: NewUpload): Promise<FileLog> {
    check({ size })
    if ((await openLog(session)) === undefined) throw new MillraceError('session_not_found')
    const upload = randomBytes(16).toString('base64url')
    // No two at the same time: one that sorts before another that was counted already would be one too many.
    const beganAt = Math.max(now(), lastBeganAt + 1)
    lastBeganAt = beganAt
    const unfinished = { session, upload, by, beganAt }
    // Before the file: it is found and removed whatever happens next.
    await addUnfinished(engine, unfinished)
    if (!(await isAmong(engine, unfinished, { max: inFlightMax, msMax: uploadMsMax }))) {
      await removeUnfinished(engine, unfinished)
      throw new MillraceError('too_many_uploads')
    }
    const info = { mediaType, ...(name !== undefined && { name }), size, by, beganAt }
    return createFileLog(engine, { session, upload }, info)
  }

  async function keep({ session, by, mediaType, name, bytes }: FileBytes): Promise<string> {
    const size = bytes.byteLength
    check({ size })
    checkBeginning(mediaType, bytes.subarray(0, sizes.pieceBytes))
    const described = { mediaType, ...(name !== undefined && { name }), size }
    const digest = hash('sha256', bytes, 'base64url')
    const place = { session, upload: hash('sha256', JSON.stringify([described, digest]), 'base64url').slice(0, 22) }
    for (let attempt = 1; ; attempt++) {
      try {
        const file = (await openFileLog(engine, place)) ?? (await create({ ...described, by, beganAt: now() }, place))
        let kept = file
        while (offsetOf(kept) < size) {
          const offset = offsetOf(kept)
          // A copy: what is appended must not change.
          kept = await appendPiece(engine, kept, bytes.slice(offset, offset + sizes.pieceBytes))
        }
        return (await completeUpload(completing, kept)).position as string
      } catch (error) {
        // The same file is being kept by another request.
        if (!movedCodes.has((error as MillraceError).code) || attempt === attemptsMax) throw error
      }
    }
  }

  async function create(info: StoredInfo, place: Pick<FileLog, 'session' | 'upload'>): Promise<FileLog> {
    await addUnfinished(engine, { ...place, ...info })
    return createFileLog(engine, place, info)
  }

  async function find(session: string, upload: string, by: string): Promise<FileLog> {
    const file = await openFileLog(engine, { session, upload })
    if (file === undefined || file.info.by !== by || isOver(file)) throw new MillraceError('upload_not_found')
    return file
  }

  async function receive(file: FileLog, { stream, onBytes }: Body): Promise<FileLog> {
    let kept = file
    const left = file.info.size - offsetOf(file)
    try {
      for await (const piece of receivePieces(stream, { bytesMax: left, ms: requestMs * 0.9, onBytes })) {
        if (kept.pieces === 0) checkBeginning(file.info.mediaType, piece)
        kept = await appendPiece(engine, kept, piece)
      }
      return kept.pieces === countPieces(file.info.size) ? await completeUpload(completing, kept) : kept
    } catch (error) {
      if (finalCodes.has((error as MillraceError).code)) await cancel(file)
      throw error
    }
  }

  async function cancel(file: FileLog): Promise<void> {
    const { session, upload, info } = file
    if (file.position !== undefined) throw new MillraceError('upload_not_found')
    await deleteFileLog(engine, file)
    await removeUnfinished(engine, { session, upload, by: info.by, beganAt: info.beganAt })
  }

  function isOver({ info, position }: FileLog): boolean {
    return position === undefined && now() - info.beganAt > uploadMsMax
  }
}
