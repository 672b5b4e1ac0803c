/** Files of a question: uploaded when they are added, with progress, and named by their position in what is asked. */
import type { AttachmentAdapter, CompleteAttachment, PendingAttachment } from '@assistant-ui/react'
import type { FilePart } from '@millrace/protocol'
import { type UploadedFile, upload } from '../files/index.ts'
import { newId } from '../host.ts'
import type { Session } from '../session.ts'

export function createAttachmentAdapter(session: Session): AttachmentAdapter {
  const uploads = new Map<string, AbortController>()
  const uploaded = new Map<string, UploadedFile>()
  return {
    // The server says which it takes.
    accept: '*',
    async *add({ file }) {
      const { name, type: contentType } = file
      const attachment = { id: newId(), type: kindOf(contentType), name, contentType, file }
      const { id } = attachment
      const abort = new AbortController()
      uploads.set(id, abort)
      let progress = 0
      let moved = Promise.withResolvers<void>()
      const upcoming = upload(session, file, {
        signal: abort.signal,
        onProgress({ bytes, size }) {
          progress = size === 0 ? 1 : bytes / size
          moved.resolve()
        },
      })
      const ended = upcoming.then(
        (result): PendingAttachment['status'] => {
          uploaded.set(id, result)
          return { type: 'requires-action', reason: 'composer-send' }
        },
        (error: Error): PendingAttachment['status'] => ({ type: 'incomplete', reason: 'error', message: error.message }),
      )
      try {
        for (let status: PendingAttachment['status'] | undefined; status === undefined; ) {
          moved = Promise.withResolvers()
          yield { ...attachment, status: { type: 'running', reason: 'uploading', progress } }
          status = (await Promise.race([ended, moved.promise])) ?? undefined
          if (status !== undefined) yield { ...attachment, status }
        }
      } finally {
        // It may have been given up.
        abort.abort()
        uploads.delete(id)
      }
    },
    async send({ id, status, ...attachment }) {
      const found = uploaded.get(id)
      if (found === undefined) throw new Error(status.type === 'incomplete' ? status.message : 'The file is not uploaded.')
      uploaded.delete(id)
      const { position: file, mediaType, name } = found
      return { ...attachment, ...toAttachment({ type: 'file', file, mediaType, name }), id }
    },
    async remove({ id }) {
      uploads.get(id)?.abort()
      uploaded.delete(id)
    },
  }
}

/** A file of a question as it is shown below it. `data` is its position in the session. */
export function toAttachment({ file, mediaType = 'application/octet-stream', name = file }: FilePart): CompleteAttachment {
  return {
    id: file,
    type: kindOf(mediaType),
    name,
    contentType: mediaType,
    status: { type: 'complete' },
    content: [{ type: 'file', data: file, sourceType: 'id', mimeType: mediaType, filename: name }],
  }
}

function kindOf(mediaType: string): CompleteAttachment['type'] {
  if (mediaType.startsWith('image/')) return 'image'
  return mediaType.startsWith('text/') || mediaType === 'application/pdf' ? 'document' : 'file'
}
