/** The files of sessions, by their positions: those that were uploaded, and those in answers. PROTOCOL.md#files. */
import { type FileInfo, MillraceError, parsePosition } from '@millrace/protocol'
import type { Engine } from '../log/log.ts'
import { readFileLog } from './file-log.ts'
import { createUploads, type Uploads, type UploadsOptions } from './uploads.ts'

export interface Files {
  readonly uploads: Uploads
  readonly openFile: OpenFile
  /** Media types that may be uploaded. */
  readonly fileTypes: readonly string[]
}

export function createFiles({ fileTypes, ...options }: UploadsOptions & Pick<Files, 'fileTypes'>): Files {
  return { uploads: createUploads(options), openFile: createOpenFile(options.engine), fileTypes }
}

export interface SessionFile extends FileInfo {
  /** Piece by piece, as they are asked for. Rejects with `position_expired` where they are no longer kept. */
  readonly bytes: () => AsyncIterable<Uint8Array>
}

/**
 * Rejects with `position_invalid`, `session_not_found`, `file_not_found` where nothing at this position is a file, and
 * `position_expired`.
 */
export type OpenFile = (session: string, position: string) => Promise<SessionFile>

function createOpenFile(engine: Engine): OpenFile {
  return async (session, token) => {
    const position = parsePosition(token)
    if (position === undefined) throw new MillraceError('position_invalid')
    const { epoch, offset, session: named = session } = position
    if (named !== session || offset === 0) throw new MillraceError('file_not_found')
    const { events, gap } = await engine.read(session, { epoch, offset: offset - 1 }, { eventsMax: 2 }).catch(unknown)
    const [event, next] = events
    if (event === undefined) throw new MillraceError('file_not_found')
    if (gap !== undefined || event.offset !== offset) throw new MillraceError('position_expired')
    const { mediaType, name, size } = event.data as object as FileInfo
    const info = { mediaType, ...(name !== undefined && { name }), size }
    if (event.type === 'upload') {
      const { upload } = event.data as { upload: string }
      return { ...info, bytes: () => readFileLog(engine, { session, upload }) }
    }
    if (event.type !== 'file') throw new MillraceError('file_not_found')
    const own = next ?? (await engine.read(session, { epoch, offset }, { eventsMax: 1 })).events[0]
    if (own?.type !== 'file_data') throw new MillraceError('position_expired')
    return { ...info, bytes: () => only(own.data as Uint8Array) }
  }
}

/** A position of another session, or of a log that was lost, is that of no file here. */
function unknown(error: MillraceError): never {
  const isElsewhere = error.code === 'position_foreign' || error.code === 'position_ahead'
  throw isElsewhere ? new MillraceError('file_not_found', { cause: error }) : error
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** All of a file. Its size is known and bounded. */
export async function readWhole({ size, bytes }: SessionFile, signal?: AbortSignal): Promise<Uint8Array> {
  const all = new Uint8Array(size)
  let offset = 0
  for await (const piece of bytes()) {
    signal?.throwIfAborted()
    all.set(piece, offset)
    offset += piece.byteLength
  }
  return all
}
