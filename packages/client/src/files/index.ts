/** Files of a session: uploads that survive cuts, and downloads, both with progress. PROTOCOL.md#uploads. */
import type { Message } from '@millrace/protocol'
import { MillraceError } from '../errors.ts'
import { toError } from '../http.ts'
import { pause } from '../pause.ts'
import type { Session } from '../session.ts'
import { backoffMs, defaultTimings } from '../timings.ts'
import type { FileOptions, UploadedFile } from './file.ts'

export type { FileOptions, Progress, UploadedFile } from './file.ts'
export { type UploadOptions, upload } from './upload.ts'

/** Without a byte of a download: it begins again where it was. */
const silentMs = 20_000
/** Without a byte, over all attempts: it fails. */
const stalledMs = 120_000

/**
 * A file of the session, uploaded or in an answer. Goes on after cuts where it was. Rejects with `file_not_found`, with
 * `position_expired` where it is no longer kept, and where no byte arrives for two minutes with the last error.
 */
export async function download(session: Session, position: string, { signal, onProgress }: FileOptions = {}): Promise<Blob> {
  const got: Got = { pieces: [], bytes: 0, type: '' }
  for (let attempt = 0, movedAt = Date.now(); ; ) {
    const before = got.bytes
    try {
      await readOn(session, position, got, { signal, onProgress })
      return new Blob(got.pieces, { type: got.type })
    } catch (cause) {
      signal?.throwIfAborted()
      const error = toError(cause)
      if (got.bytes > before) [attempt, movedAt] = [0, Date.now()]
      if (!error.retryable || Date.now() - movedAt > stalledMs) throw error
      await pause(backoffMs(attempt++, Math.random(), defaultTimings, error), signal)
    }
  }
}

interface Got {
  pieces: Uint8Array<ArrayBuffer>[]
  bytes: number
  type: string
}

/** Adds what follows what was got. */
async function readOn(session: Session, position: string, got: Got, { signal, onProgress }: FileOptions): Promise<void> {
  const silence = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const wait = () => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(new MillraceError('silent')), silentMs)
  }
  wait()
  try {
    const either = signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal])
    const headers = got.bytes === 0 ? {} : { headers: { range: `bytes=${got.bytes}-` } }
    const response = await session.fetch(session.fileUrl(position), { ...headers, signal: either })
    // An older server, or something on the way, gives all of it again.
    if (response.status !== 206) Object.assign(got, { pieces: [], bytes: 0 })
    const size = got.bytes + Number(response.headers.get('content-length'))
    got.type = response.headers.get('content-type') ?? ''
    const reader = response.body?.getReader()
    for (;;) {
      onProgress?.({ bytes: got.bytes, size })
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
      if (done || value === undefined) return
      wait()
      got.pieces.push(value as Uint8Array<ArrayBuffer>)
      got.bytes += value.byteLength
    }
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

/** A question with files, for `session.run({ messages })` and `chat.ask`. */
export function withFiles(query: string, files: readonly Pick<UploadedFile, 'position'>[]): readonly Message[] {
  const text = query === '' ? [] : [{ type: 'text' as const, text: query }]
  return [{ role: 'user', content: [...text, ...files.map(({ position }) => ({ type: 'file' as const, file: position }))] }]
}
