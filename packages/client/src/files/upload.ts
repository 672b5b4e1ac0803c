/**
 * An upload in parts. Each part is one request with a deadline of its own; after a cut the server is asked what it has kept, so
 * that nothing is missing or sent twice. Parts grow on a fast line and shrink on a slow one.
 */
import { MillraceError } from '../errors.ts'
import { toError } from '../http.ts'
import { pause } from '../pause.ts'
import type { FetchRequest, Session } from '../session.ts'
import { backoffMs, defaultTimings } from '../timings.ts'
import type { FileOptions, UploadedFile } from './file.ts'

export interface UploadOptions extends FileOptions {
  /** Default that of the file. */
  readonly name?: string | undefined
  /** Default that of the file. The server compares it with the bytes. */
  readonly mediaType?: string | undefined
  /** Milliseconds in which the server keeps nothing more, after which the upload fails. Default 120,000. */
  readonly stalledMs?: number | undefined
}

/** As the server describes an upload. */
interface State extends Omit<UploadedFile, 'position'> {
  readonly upload: string
  readonly offset: number
  /** Once it is complete. */
  readonly position?: string
}

/** The server keeps whole pieces of this size. */
const pieceBytes = 262_144
const partBytesMax = 16 * pieceBytes
/** After a part that takes less, the next one is larger. */
const fastMs = 1000
/** The server waits for a body a little longer. */
const partMs = 25_000

/**
 * Uploads a file to a session, which is made where it is new, and goes on after cuts and restarts. Rejects with the server's
 * error, such as `file_too_large`, `file_type_not_allowed` and `file_type_mismatch`; with that of the last attempt where it has
 * stalled; and with the signal's reason. It is then cancelled.
 */
export async function upload(session: Session, file: Blob, options: UploadOptions = {}): Promise<UploadedFile> {
  const { signal, onProgress, stalledMs = 120_000 } = options
  let state: State | undefined
  let isKnown = true
  let partBytes = pieceBytes
  let movedAt = Date.now()
  onProgress?.({ bytes: 0, size: file.size })
  for (let attempt = 0; state?.position === undefined; ) {
    const startedAt = Date.now()
    try {
      const next: State = await step(session, file, options, { state, isKnown, partBytes })
      const isStuck = isKnown && state !== undefined && next.offset === state.offset && next.position === undefined
      state = next
      isKnown = true
      if (isStuck) throw new MillraceError('silent')
      onProgress?.({ bytes: next.offset, size: file.size })
      attempt = 0
      movedAt = Date.now()
      if (movedAt - startedAt < fastMs) partBytes = Math.min(2 * partBytes, partBytesMax)
    } catch (cause) {
      const error = toError(cause)
      const isOver = signal?.aborted || !isPassing(error) || Date.now() - movedAt > stalledMs
      if (isOver) {
        if (state !== undefined) void session.fetch(addressOf(state), { method: 'DELETE' }).catch(() => {})
        signal?.throwIfAborted()
        throw error
      }
      isKnown = false
      partBytes = Math.max(pieceBytes, partBytes / 4)
      await pause(backoffMs(attempt++, Math.random(), defaultTimings, error), signal)
    }
  }
  const { mediaType, name, size, position } = state
  return { session: session.id, mediaType, ...(name !== undefined && { name }), size, position }
}

interface Step {
  readonly state: State | undefined
  /** Whether the state is that of the server. */
  readonly isKnown: boolean
  readonly partBytes: number
}

/** Begins, sends a part, or asks where to go on. */
async function step(session: Session, file: Blob, options: UploadOptions, { state, isKnown, partBytes }: Step): Promise<State> {
  const { name = (file as Blob & { name?: string }).name, mediaType = file.type, signal } = options
  const deadline = AbortSignal.timeout(partMs)
  const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  const send = async (path: string, request: FetchRequest) =>
    (await (await session.fetch(path, { ...request, signal: either })).json()) as State
  if (state === undefined) {
    const query = new URLSearchParams({ session: session.id, ...(name !== undefined && { name }) })
    const headers = { 'content-type': mediaType, 'upload-complete': '?0', 'upload-length': String(file.size) }
    return send(`api/files?${query.toString()}`, { method: 'POST', headers })
  }
  if (!isKnown) return send(addressOf(state), {})
  const { offset } = state
  const headers = { 'content-type': 'application/partial-upload', 'upload-offset': String(offset) }
  return send(addressOf(state), { method: 'PATCH', headers, body: file.slice(offset, offset + partBytes) })
}

function addressOf({ session, upload: id }: State): string {
  return `api/uploads/${session}/${id}`
}

/** Where the offsets differ, an earlier part has arrived after all. */
function isPassing({ code, retryable }: MillraceError): boolean {
  return retryable || code === 'upload_offset_mismatch'
}
