/**
 * The log of one uploaded file, beside that of its session: first what it is, then its bytes in pieces of one size, at last the
 * position of its `upload` event. The pieces are counted by the log itself, so that any server continues an upload, and a piece
 * that is sent twice is rejected. See docs/decisions/0037.
 */
import { type FileInfo, type Json, limits, MillraceError } from '@millrace/protocol'
import type { Engine, NewEvent } from '../log/log.ts'
import { walkNames } from '../log/names.ts'

/** What is recorded before the first piece. */
export interface StoredInfo extends FileInfo {
  /** Who uploads it; nobody else continues or cancels the upload. */
  readonly by: string
  /** Milliseconds since 1970. */
  readonly beganAt: number
}

export interface FileLog {
  readonly session: string
  readonly upload: string
  readonly info: StoredInfo
  readonly epoch: string
  /** Pieces that are kept. */
  readonly pieces: number
  /** Of its event in the session, once that was recorded. */
  readonly position: string | undefined
}

/** No client can read or write it: no session has this name. */
const filesOf = (session: string) => `file/${session}/`
const logOf = ({ session, upload }: Pick<FileLog, 'session' | 'upload'>) => `${filesOf(session)}${upload}`
const goneCodes = new Set<unknown>(['session_not_found', 'position_foreign', 'position_ahead'])

export function offsetOf({ pieces, info: { size } }: Pick<FileLog, 'pieces' | 'info'>): number {
  return Math.min(pieces * limits.pieceBytes, size)
}

export const countPieces = (size: number): number => Math.ceil(size / limits.pieceBytes)

export async function createFileLog(
  engine: Engine,
  place: Pick<FileLog, 'session' | 'upload'>,
  info: StoredInfo,
): Promise<FileLog> {
  const event: NewEvent = { type: 'file', data: info as object as Json }
  const { position } = await engine.append(logOf(place), [event], { expect: 0 })
  return { ...place, info, epoch: position.epoch, pieces: 0, position: undefined }
}

/** Undefined where there is no such file, and where retention has removed a part of it. */
export async function openFileLog(engine: Engine, place: Pick<FileLog, 'session' | 'upload'>): Promise<FileLog | undefined> {
  const log = logOf(place)
  const state = await engine.inspect(log)
  if (state === undefined || state.start.offset > 0 || state.head.offset === 0) return undefined
  const { epoch, offset: head } = state.head
  try {
    const { events, gap } = await engine.read(log, { epoch, offset: 0 }, { eventsMax: 1, bytesMax: 1 })
    const info = events[0]?.data as StoredInfo | undefined
    if (info === undefined || gap !== undefined) return undefined
    const file = { ...place, info, epoch, pieces: head - 1, position: undefined }
    if (file.pieces <= countPieces(info.size)) return file
    const last = await engine.read(log, { epoch, offset: head - 1 }, { eventsMax: 1 })
    const kept = last.events[0]?.data as { readonly position: string } | undefined
    return { ...file, pieces: countPieces(info.size), position: kept?.position }
  } catch (error) {
    // Deleted between the calls.
    if (goneCodes.has((error as MillraceError).code)) return undefined
    throw error
  }
}

/** Rejects with `upload_offset_mismatch` where the log has grown, and `upload_not_found` where it was deleted. */
export async function appendPiece(engine: Engine, file: FileLog, bytes: Uint8Array): Promise<FileLog> {
  await append(engine, file, { type: 'file_data', data: bytes })
  return { ...file, pieces: file.pieces + 1 }
}

/** The file is in its session, at this position. */
export async function finishFileLog(engine: Engine, file: FileLog, position: string): Promise<FileLog> {
  await append(engine, file, { type: 'kept', data: { position } })
  return { ...file, position }
}

async function append(engine: Engine, file: FileLog, event: NewEvent): Promise<void> {
  try {
    await engine.append(logOf(file), [event], { epoch: file.epoch, expect: file.pieces + 1 })
  } catch (error) {
    const { code } = error as MillraceError
    if (code === 'head_moved') throw new MillraceError('upload_offset_mismatch', { cause: error })
    if (goneCodes.has(code)) throw new MillraceError('upload_not_found', { cause: error })
    throw error
  }
}

/** Piece by piece, as it is asked for. Rejects with `position_expired` where a part is no longer kept. */
export async function* readFileLog(engine: Engine, place: Pick<FileLog, 'session' | 'upload'>): AsyncGenerator<Uint8Array> {
  const file = await openFileLog(engine, place)
  if (file === undefined) throw new MillraceError('position_expired')
  let left = file.info.size
  for (let after = { epoch: file.epoch, offset: 1 }; left > 0; ) {
    const page = await engine.read(logOf(place), after, { bytesMax: limits.pieceBytes }).catch((error: MillraceError) => {
      throw goneCodes.has(error.code) ? new MillraceError('position_expired', { cause: error }) : error
    })
    if (page.gap !== undefined || page.events.length === 0) throw new MillraceError('position_expired')
    for (const { type, data } of page.events) {
      if (type !== 'file_data') continue
      left -= (data as Uint8Array).byteLength
      yield data as Uint8Array
    }
    after = page.position
  }
}

export async function deleteFileLog(engine: Engine, place: Pick<FileLog, 'session' | 'upload'>): Promise<void> {
  await engine.delete(logOf(place))
}

/** Of a session that was deleted. */
export async function deleteFilesOf(engine: Engine, session: string): Promise<void> {
  for await (const name of walkNames(engine, filesOf(session))) await engine.delete(name)
}
