/** Completes an upload whose bytes are all kept: the file becomes one of its session. */
import { type FileInfo, formatPosition, type Json, MillraceError } from '@millrace/protocol'
import type { Engine, LogState } from '../log/log.ts'
import { type FileLog, finishFileLog, openFileLog, readFileLog } from './file-log.ts'
import { checkWhole } from './media-types.ts'
import { removeUnfinished } from './unfinished.ts'

/** A file that is in its session. */
interface KeptFile extends Omit<FileInfo, 'name'> {
  readonly session: string
  readonly position: string
  readonly by: string
  readonly durationMs: number
}

export interface CompletingOptions {
  readonly engine: Engine
  readonly openLog: (session: string) => Promise<LogState | undefined>
  readonly observer: { fileUploaded?(file: KeptFile): void }
  readonly now: () => number
}

const noRoom = 'The engine of this server keeps less of one log than the file has; send a smaller one.'

/**
 * Does it once, also where it is called again because its first response was lost. Rejects with `file_type_mismatch`,
 * `file_too_large` and `session_not_found`.
 */
export async function completeUpload({ engine, openLog, observer, now }: CompletingOptions, file: FileLog): Promise<FileLog> {
  if (file.position !== undefined) return file
  const { session, upload, info } = file
  const { mediaType, name, size, by, beganAt } = info
  // The engine keeps less of one log, and has removed its beginning.
  if ((await openFileLog(engine, file)) === undefined) throw new MillraceError('file_too_large', { message: noRoom })
  await checkWhole(mediaType, () => readFileLog(engine, file))
  const state = await openLog(session)
  if (state === undefined) throw new MillraceError('session_not_found')
  const described = { upload, mediaType, ...(name !== undefined && { name }), size }
  const options = { key: `upload ${upload}`, epoch: state.head.epoch }
  const appended = await engine.append(session, [{ type: 'upload', data: described as Json }], options)
  const position = formatPosition(appended.position)
  // Where another request has done it at the same time, it says the same.
  const kept = await finishFileLog(engine, file, position).catch(() => ({ ...file, position }))
  if (!appended.duplicate) observer.fileUploaded?.({ session, position, mediaType, size, by, durationMs: now() - beganAt })
  // What is left of it is swept later. An error would say that the file is not in its session.
  await removeUnfinished(engine, { session, upload, by, beganAt }).catch(() => {})
  return kept
}
