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
  /** `fileUrl` of the session: where the page gets files from whose bytes are not here. */
  readonly fileUrl?: ((position: string) => string) | undefined
}

/**
 * The runs of a transcript, or of a chat store, as messages for `useChat({ messages })`: each is a message of the user, with
 * the run's id, and one of the assistant. Without `fileUrl`, files whose bytes are not here are left out.
 */
export function toUIMessages(
  runs: readonly (TranscriptRun | ChatRun)[],
  { lane: name, fileUrl }: UIMessagesOptions = {},
): UIMessage[] {
  return runs.flatMap(({ run, query, messages, status, lanes }): UIMessage[] => {
    const lane = lanes.find((one) => one.lane === name) ?? lanes[0]
    const question: UIMessage = { id: run, role: 'user', parts: questionOf(query, messages, fileUrl) }
    if (lane === undefined) return [question]
    const parts = lane.parts.flatMap((part) => toPart(part, lane.files, { isGrowing: status === 'streaming', fileUrl }))
    return [question, { id: answerOf(run), role: 'assistant', metadata: { run, model: lane.model }, parts }]
  })
}

type Files = readonly { readonly position: string; readonly bytes?: Uint8Array }[]

type Shown = Pick<UIMessagesOptions, 'fileUrl'> & { readonly isGrowing: boolean }

function toPart(part: LanePart, files: Files, { isGrowing, fileUrl }: Shown): Part[] {
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
      const url = bytes === undefined ? fileUrl?.(position) : toDataUrl(bytes, mediaType)
      return url === undefined ? [] : [toFile(url, mediaType, name)]
    }
    case 'source':
      return [uiSourceOf(part)]
    case 'step':
      return [{ type: 'step-start' }]
  }
}

/** The last message of a user, which may have files. */
function questionOf(query: string, messages: readonly Message[] = [], fileUrl?: UIMessagesOptions['fileUrl']): Part[] {
  const content = messages.findLast(({ role }) => role === 'user')?.content
  if (content === undefined || typeof content === 'string') return [{ type: 'text', text: query }]
  return content.flatMap((part): Part[] => {
    if (part.type === 'text') return [{ type: 'text', text: part.text }]
    if (part.type !== 'file' || fileUrl === undefined) return []
    return [toFile(fileUrl(part.file), part.mediaType ?? '', part.name)]
  })
}

function toFile(url: string, mediaType: string, name: string | undefined): Part {
  return { type: 'file', mediaType, url, ...(name !== undefined && { filename: name }) }
}
