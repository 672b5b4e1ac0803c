/** The events of a run as the chunks of the AI SDK's UI message stream: those of one lane, which is one message. */
import { type SessionEvent, uiChunkOf, uiFinishReasonOf } from '@millrace/protocol'
import type { UIMessageChunk } from 'ai'
import { toDataUrl } from '../data-url.ts'

export type ChunkEvent = Extract<SessionEvent, { type: string }>

/** The id of the assistant's message; that of the user's is the run's. */
export const answerOf = (run: string) => `answer-${run}`

export interface ChunkWriter {
  /** The chunks of the next event. */
  write(event: ChunkEvent): UIMessageChunk[]
}

export interface ChunkOptions {
  /** The name of the lane; default the first. */
  readonly lane?: string
  /** The calls of the message that the run goes on with: the AI SDK would have those of the application executed again. */
  readonly continued?: ReadonlySet<string> | undefined
}

export function createChunkWriter({ lane, continued }: ChunkOptions = {}): ChunkWriter {
  let shown = lane
  /** What is being said: deltas of one kind that follow each other. */
  let said: { readonly type: 'text' | 'reasoning'; readonly id: string } | undefined
  let parts = 0
  let file: { readonly mediaType: string } | undefined

  return {
    write(event) {
      if (event.type === 'stream_start') {
        const { run, lanes } = event.data
        shown ??= lanes[0]?.lane
        if (continued !== undefined) return [{ type: 'start' }, { type: 'start-step' }]
        const model = lanes.find((one) => one.lane === shown)?.model
        return [{ type: 'start', messageId: answerOf(run), messageMetadata: { run, model } }, { type: 'start-step' }]
      }
      if (event.type === 'file_data') {
        const known = file
        file = undefined
        return known
          ? [...endSaid(), { type: 'file', mediaType: known.mediaType, url: toDataUrl(event.data, known.mediaType) }]
          : []
      }
      if ('lane' in event.data && event.data.lane !== shown) return []
      if (event.type === 'message') return say('text', event.data.text)
      if (event.type === 'reasoning') return say('reasoning', event.data.reasoning)
      if (event.type === 'file') file = event.data
      if (event.type === 'tool_call' && event.data.by === 'client' && continued?.has(event.data.call)) return []
      const chunks = chunksOf(event)
      return chunks.length > 0 ? [...endSaid(), ...chunks] : []
    },
  }

  function say(type: 'text' | 'reasoning', delta: string): UIMessageChunk[] {
    if (said?.type === type) return [{ type: `${type}-delta`, id: said.id, delta }]
    const before = endSaid()
    const id = `${parts++}`
    said = { type, id }
    return [...before, { type: `${type}-start`, id }, { type: `${type}-delta`, id, delta }]
  }

  function endSaid(): UIMessageChunk[] {
    if (said === undefined) return []
    const { type, id } = said
    said = undefined
    return [{ type: `${type}-end`, id }]
  }
}

function chunksOf(event: ChunkEvent): UIMessageChunk[] {
  switch (event.type) {
    case 'step_end':
      return [{ type: 'finish-step' }, { type: 'start-step' }]
    case 'stream_end': {
      const { status, error, finishReason } = event.data
      if (status === 'stopped') return [{ type: 'abort' }]
      if (status === 'failed' || status === 'interrupted') return [{ type: 'error', errorText: error?.message ?? status }]
      const reason = finishReason && uiFinishReasonOf(finishReason)
      return [{ type: 'finish-step' }, { type: 'finish', ...(reason !== undefined && { finishReason: reason }) }]
    }
    default: {
      const chunk = uiChunkOf(event, { dynamic: true })
      return chunk === undefined ? [] : [chunk]
    }
  }
}
