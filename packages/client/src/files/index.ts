/** Files of a session: uploads that survive cuts, and downloads, both with progress. PROTOCOL.md#uploads. */
import type { Message } from '@millrace/protocol'
import { MillraceError } from '../errors.ts'
import { toError } from '../http.ts'
import type { Session } from '../session.ts'
import type { FileOptions, UploadedFile } from './file.ts'

export type { FileOptions, Progress, UploadedFile } from './file.ts'
export { type UploadOptions, upload } from './upload.ts'

/** Without a byte of a download. */
const silentMs = 20_000

/**
 * A file of the session, uploaded or in an answer. One attempt; rejects with `file_not_found`, with `position_expired` where it
 * is no longer kept, and with `silent` where no byte arrives for 20 seconds.
 */
export async function download(session: Session, position: string, { signal, onProgress }: FileOptions = {}): Promise<Blob> {
  const silence = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const wait = () => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(new MillraceError('silent')), silentMs)
  }
  wait()
  try {
    const either = signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal])
    const { headers, body } = await session.fetch(session.fileUrl(position), { signal: either })
    const size = Number(headers.get('content-length'))
    const pieces: Uint8Array<ArrayBuffer>[] = []
    const reader = body?.getReader()
    for (let bytes = 0; ; ) {
      onProgress?.({ bytes, size })
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
      if (done || value === undefined) return new Blob(pieces, { type: headers.get('content-type') ?? '' })
      wait()
      pieces.push(value as Uint8Array<ArrayBuffer>)
      bytes += value.byteLength
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw silence.signal.aborted ? silence.signal.reason : toError(error)
  } finally {
    clearTimeout(timer)
  }
}

/** A question with files, for `session.run({ messages })` and `chat.ask`. */
export function withFiles(query: string, files: readonly Pick<UploadedFile, 'position'>[]): readonly Message[] {
  const text = query === '' ? [] : [{ type: 'text' as const, text: query }]
  return [{ role: 'user', content: [...text, ...files.map(({ position }) => ({ type: 'file' as const, file: position }))] }]
}
