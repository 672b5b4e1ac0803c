/** A conversation as the messages of the AI SDK, and back. */
import { type LanePart, type Message, uiSourceOf, uiToolOf } from '@millrace/protocol'
import type { UIMessage } from 'ai'
import type { ChatRun } from '../chat/index.ts'
import { toDataUrl } from '../data-url.ts'
import type { TranscriptRun } from '../session.ts'
import { answerOf } from './chunks.ts'

type Part = UIMessage['parts'][number]

export interface UIMessagesOptions {
  /** The name of the lane whose answers are shown; default the first of each run. */
  readonly lane?: string | undefined
}

/**
 * The runs of a transcript, or of a chat store, as messages for `useChat({ messages })`: each is a message of the user, with
 * the run's id, and one of the assistant. Files whose bytes are not here are left out.
 */
export function toUIMessages(runs: readonly (TranscriptRun | ChatRun)[], { lane: name }: UIMessagesOptions = {}): UIMessage[] {
  return runs.flatMap(({ run, query, status, lanes }): UIMessage[] => {
    const lane = lanes.find((one) => one.lane === name) ?? lanes[0]
    const question: UIMessage = { id: run, role: 'user', parts: [{ type: 'text', text: query }] }
    if (lane === undefined) return [question]
    const parts = lane.parts.flatMap((part) => toPart(part, lane.files, status === 'streaming'))
    return [question, { id: answerOf(run), role: 'assistant', metadata: { run, model: lane.model }, parts }]
  })
}

type Files = readonly { readonly position: string; readonly bytes?: Uint8Array }[]

function toPart(part: LanePart, files: Files, isGrowing: boolean): Part[] {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return [{ ...part, state: isGrowing ? 'streaming' : 'done' }]
    case 'tool':
      return [{ type: 'dynamic-tool', toolName: part.name, ...uiToolOf(part) }]
    case 'data':
      return [{ type: `data-${part.name}`, data: part.value }]
    case 'file': {
      const { mediaType, name, position } = part
      const bytes = files.find((file) => file.position === position)?.bytes
      if (bytes === undefined) return []
      return [{ type: 'file', mediaType, url: toDataUrl(bytes, mediaType), ...(name !== undefined && { filename: name }) }]
    }
    case 'source':
      return [uiSourceOf(part)]
    case 'step':
      return [{ type: 'step-start' }]
  }
}

/** What a user wrote. Throws a TypeError for a part that a question cannot have. */
export function toQuestion({ parts }: UIMessage): string | readonly Message[] {
  const texts = parts.map((part) => {
    if (part.type === 'text') return { type: 'text' as const, text: part.text }
    throw new TypeError(`A question cannot have a part of type "${part.type}" here.`)
  })
  return texts.length === 1 ? (texts[0]?.text ?? '') : [{ role: 'user', content: texts }]
}
