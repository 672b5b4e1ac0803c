/** Routes of files: uploads, whole or in parts, and reading. PROTOCOL.md#uploads. */
import { encodeJson, MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import { type Check, requireAction } from '../../access/authorize.ts'
import type { Caller } from '../../access/caller.ts'
import { ownerOf } from '../../access/ownership.ts'
import type { FileLog } from '../../files/file-log.ts'
import type { Files, SessionFile } from '../../files/files.ts'
import { cleanName, readMediaType } from '../../files/media-types.ts'
import { toUpload } from '../../files/uploads.ts'
import type { Limits } from '../../limits/limits.ts'
import type { Observer } from '../../operations/observer.ts'
import { createSession, type SessionStores } from '../../sessions/create-session.ts'
import { cutOut, readRange } from '../byte-range.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest, RouteResponse } from '../route.ts'
import { fileParam, fileQuery, uploadParam, uploadQuery } from '../schemas.ts'

export interface FileRoutesOptions extends SessionStores, Files {
  readonly authorize: Check
  readonly limits: Limits
  readonly observer: Observer
  readonly newId: () => string
}

type UploadInput = z.output<typeof uploadQuery>
type PartInput = z.output<typeof uploadParam>
type FileInput = z.output<typeof fileParam> & z.output<typeof fileQuery>

/** Opened as pages of this server they would be pages of its origin. */
const shown: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp'])
const policy = "default-src 'none'; sandbox"

export function createFileRoutes(options: FileRoutesOptions): Route[] {
  const { uploads, openFile, authorize, limits } = options
  return [
    {
      method: 'post',
      path: '/api/files',
      summary: 'Upload a file to a session, or begin to',
      query: uploadQuery,
      takesBytes: true,
      answers: { 201: answers.upload },
      handle: (request: RouteRequest<UploadInput>) => begin(options, request),
    },
    {
      method: 'get',
      path: '/api/uploads/:session/:upload',
      summary: 'How much of an upload is kept',
      params: uploadParam,
      answers: { 200: answers.upload },
      async handle({ input, caller }: RouteRequest<PartInput>) {
        return respond(200, await find(caller, input))
      },
    },
    {
      method: 'patch',
      path: '/api/uploads/:session/:upload',
      summary: 'Continue an upload',
      params: uploadParam,
      takesBytes: true,
      answers: { 200: answers.upload },
      async handle({ input, caller, openBody }: RouteRequest<PartInput>) {
        const file = await find(caller, input)
        const { offset, size } = toUpload(file)
        const claimed = readCount(caller.headers.get('upload-offset'))
        if (claimed === undefined)
          throw new MillraceError('invalid_request', { message: 'Send the header Upload-Offset: where the body begins.' })
        if (claimed !== offset) {
          const message = `The upload has ${offset} bytes; send those that follow.`
          throw new MillraceError('upload_offset_mismatch', { message })
        }
        limits.requireBody(caller.address, readCount(caller.headers.get('content-length')) ?? size - offset)
        return respond(200, await receive(options, file, openBody()))
      },
    },
    {
      method: 'delete',
      path: '/api/uploads/:session/:upload',
      summary: 'Cancel an upload that is not finished',
      params: uploadParam,
      answers: { 204: 'nothing' },
      async handle({ input, caller }: RouteRequest<PartInput>) {
        await uploads.cancel(await find(caller, input))
        return { status: 204 }
      },
    },
    {
      method: 'get',
      path: '/api/files/:session/:position',
      summary: 'A file of a session, uploaded or in an answer',
      isForStopping: true,
      params: fileParam,
      query: fileQuery,
      answers: { 200: 'bytes', 206: 'bytes', 304: 'nothing' },
      async handle({ input, caller, isHead }: RouteRequest<FileInput>) {
        const { session, position, download } = input
        await authorize(caller, 'session.read', { session })
        const file = await openFile(session, position)
        const etag = `"${position}"`
        if (caller.headers.get('if-none-match') === etag) return { status: 304 }
        const headers = { ...headersOf(file, download !== undefined), etag, 'accept-ranges': 'bytes' }
        if (isHead) return { status: 200, bytes: new ReadableStream<Uint8Array>(), headers }
        const range = readRange(caller.headers, file.size, etag)
        if (range === undefined) return { status: 200, bytes: toStream(file.bytes()), headers }
        const { start, end } = range
        const part = { 'content-length': String(end - start), 'content-range': `bytes ${start}-${end - 1}/${file.size}` }
        return { status: 206, bytes: toStream(cutOut(file.bytes(), range)), headers: { ...headers, ...part } }
      },
    },
  ]

  async function find(caller: Caller, { session, upload }: PartInput): Promise<FileLog> {
    await authorize(caller, 'file.upload', { session })
    return uploads.find(session, upload, limits.keyOf(caller))
  }
}

async function begin(options: FileRoutesOptions, { input, caller, openBody }: RouteRequest<UploadInput>): Promise<RouteResponse> {
  const { uploads, authorize, limits, observer, fileTypes } = options
  const { headers, principal, address } = caller
  requireAction(principal, 'file.upload')
  const mediaType = readMediaType(headers.get('content-type'), fileTypes)
  const length = readCount(headers.get('content-length'))
  const isPartial = headers.get('upload-complete') === '?0'
  const size = readCount(headers.get('upload-length')) ?? (isPartial ? undefined : length)
  if (size === undefined) throw new MillraceError('invalid_request', { message: lengthMissing })
  if (length !== undefined && length > size) throw new MillraceError('invalid_request', { message: lengthWrong })
  await authorize(caller, 'file.upload', { session: input.session })
  if (input.session === undefined) await authorize(caller, 'session.create', { session: undefined })
  const name = cleanName(input.name)
  const by = limits.keyOf(caller)
  const described = { by, mediaType, ...(name !== undefined && { name }), size }
  uploads.check(described)
  limits.requireBody(address, length ?? size)
  await limits.take('uploadBytesPerDay', caller, size)
  const session = input.session ?? options.newId()
  if (input.session === undefined) await createSession(options, session, ownerOf(principal))
  const inFlightMax = limits.of(principal, 'uploadsInFlight')
  const file = await uploads.begin({ ...described, session, inFlightMax }).catch((error: MillraceError) => {
    if (error.code === 'too_many_uploads')
      observer.limitHit?.({ limit: 'uploadsInFlight', code: error.code, principal: principal.id, address })
    throw error
  })
  try {
    const received = await receive(options, file, openBody())
    if (isPartial || received.position !== undefined) return respond(201, received)
    throw new MillraceError('malformed_http', { message: bodyShort })
  } catch (error) {
    // Its client does not know the upload and cannot continue it.
    await uploads.cancel(file).catch(() => {})
    throw error
  }
}

const lengthMissing = 'Send the length of the file: Content-Length, or Upload-Length with an upload in parts.'
const lengthWrong = 'The body is longer than the Upload-Length says.'
const bodyShort = 'The body is shorter than the file, or was read before it came here.'

function receive(
  { uploads, observer }: FileRoutesOptions,
  file: FileLog,
  stream: ReadableStream<Uint8Array> | null,
): Promise<FileLog> {
  return uploads.receive(file, { stream, onBytes: (bytes) => observer.received?.('http', bytes) })
}

/** The names of draft-ietf-httpbis-resumable-upload. */
function respond(status: number, file: FileLog): RouteResponse {
  const upload = toUpload(file)
  const { session, position, offset, size } = upload
  const isComplete = position !== undefined
  const headers = {
    location: isComplete ? `/api/files/${session}/${position}` : `/api/uploads/${session}/${upload.upload}`,
    'upload-offset': String(offset),
    'upload-length': String(size),
    'upload-complete': isComplete ? '?1' : '?0',
  }
  return { status, text: encodeJson(upload), headers }
}

function readCount(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function headersOf({ mediaType, name, size }: SessionFile, isDownload: boolean): Record<string, string> {
  const isText = mediaType.startsWith('text/')
  const isShown = !isDownload && shown.has(mediaType)
  return {
    'content-type': isText ? `${mediaType}; charset=utf-8` : mediaType,
    'content-length': String(size),
    'content-disposition': `${isShown ? 'inline' : 'attachment'}${toParameters(name)}`,
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-site',
    // Kept by the browser of its reader, who is asked for again each time.
    'cache-control': 'private, no-cache',
  }
}

/** RFC 6266, with the name in UTF-8 for all that are newer than RFC 5987. */
function toParameters(name: string | undefined): string {
  if (name === undefined) return ''
  const plain = name.replace(/[^\w. ()-]/g, '_')
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
  return `; filename="${plain}"; filename*=UTF-8''${encoded}`
}

/** One piece in memory, and the next when it was taken. */
function toStream(bytes: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const pieces = bytes[Symbol.asyncIterator]()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await pieces.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}
