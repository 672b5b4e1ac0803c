/** How a stream of the AI SDK ends: always with `finish`. Without it a client takes a cut for the end, or reconnects for ever. */
import { type MillraceError, type RunEnd, uiFinishReasonOf } from '@millrace/protocol'
import type { Chunk } from './chunks.ts'
import { answerId } from './ids.ts'

/** Statuses that replace the model's reason. With `interrupted` the client sends nothing by itself. */
const reasons: Readonly<Record<string, string | undefined>> = {
  waiting: 'tool-calls',
  stopped: 'interrupted',
  failed: 'error',
  interrupted: 'interrupted',
}

export function endChunks({ status, error, finishReason, ...end }: RunEnd): readonly Chunk[] {
  const messageMetadata = { status, ...(error !== undefined && { error }), ...end }
  const reason = reasons[status] ?? (finishReason && uiFinishReasonOf(finishReason))
  const finish = { type: 'finish', ...(reason !== undefined && { finishReason: reason }), messageMetadata }
  if (status === 'stopped') return [{ type: 'abort' }, finish]
  if (status !== 'failed') return [finish]
  // A client reads nothing after an error.
  return [{ type: 'message-metadata', messageMetadata }, { type: 'error', errorText: error?.message ?? status }, finish]
}

/** In place of the rest of a run that cannot be read. */
export function failChunks(error: MillraceError): readonly Chunk[] {
  return [
    { type: 'error', errorText: error.toPublic().message },
    { type: 'finish', finishReason: 'error' },
  ]
}

/** In place of a stream, where calls in an answer still wait for somebody. */
export function waitingChunks(first: string): readonly Chunk[] {
  return [
    { type: 'start', messageId: answerId(first) },
    { type: 'finish', finishReason: 'tool-calls' },
  ]
}
