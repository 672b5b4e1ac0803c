/** A chat store as the messages of assistant-ui: each run is a message of the user, with the run's id, and one of the assistant. */
import { type AppendMessage, ExportedMessageRepository, type ThreadMessageLike } from '@assistant-ui/react'
import type { Json, LanePart, Message, MessagePart, ToolPart } from '@millrace/protocol'
import type { Chat, ChatLane } from '../chat/index.ts'
import { toDataUrl } from '../data-url.ts'
import { toAttachment } from './attachments.ts'

type Part = Exclude<ThreadMessageLike['content'], string>[number]
type Status = NonNullable<ThreadMessageLike['status']>

/** `lane` is the name of the lane whose answers are shown; default the first of each run. */
export function toThreadMessages({ runs, pending }: Pick<Chat, 'runs' | 'pending'>, name?: string): ThreadMessageLike[] {
  const answered = runs.flatMap(({ run, query, messages, startedAt, lanes }): ThreadMessageLike[] => {
    const lane = lanes.find((one) => one.lane === name) ?? lanes[0]
    const createdAt = new Date(startedAt)
    const question: ThreadMessageLike = { ...asUser(run, query, messages), createdAt }
    if (lane === undefined) return [question]
    const content = lane.parts.flatMap((part) => toPart(part, lane))
    return [question, { id: `answer-${run}`, role: 'assistant', content, createdAt, status: statusOf(lane) }]
  })
  const waiting = pending.flatMap(({ id, query, messages, error }): ThreadMessageLike[] => {
    const question = asUser(id, query, messages)
    if (error === undefined) return [question]
    const status: Status = { type: 'incomplete', reason: 'error', error: error.message }
    return [question, { id: `answer-${id}`, role: 'assistant', content: [], status }]
  })
  return [...answered, ...waiting]
}

function asUser(id: string, query: string, messages: readonly Message[] | undefined): ThreadMessageLike {
  const content = messages?.findLast(({ role }) => role === 'user')?.content
  const attachments =
    typeof content === 'string' ? [] : content?.flatMap((part) => (part.type === 'file' ? [toAttachment(part)] : []))
  return { id, role: 'user', content: query, ...(attachments !== undefined && { attachments }) }
}

/**
 * The same as a tree: beside each question the others at its place, whose text is not shown, and so is not here. `messages` are
 * those of the path.
 */
export function toRepository(messages: readonly ThreadMessageLike[], siblings: Chat['siblings']): ExportedMessageRepository {
  let parentId: string | null = null
  const items = messages.flatMap((message) => {
    const { id = '' } = message
    const places = siblings.get(id) ?? [id]
    const branches = places.map((run) => {
      const shown: ThreadMessageLike = run === id ? message : { id: run, role: 'user', content: '' }
      return { message: shown, parentId }
    })
    parentId = id
    return branches
  })
  return ExportedMessageRepository.fromBranchableArray(items, { headId: parentId })
}

/** The newest call that is meant, with its run. */
export function findCall({ runs }: Pick<Chat, 'runs'>, isNamed: (tool: ToolPart) => boolean): FoundCall | undefined {
  for (const { run, lanes } of runs.toReversed())
    for (const part of lanes.flatMap(({ parts }) => parts))
      if (part.type === 'tool' && isNamed(part)) return { run, call: part.call }
  return undefined
}

interface FoundCall {
  readonly run: string
  readonly call: string
}

function statusOf({ status, finishReason, error }: ChatLane): Status {
  switch (status) {
    case 'streaming':
      return { type: 'running' }
    case 'waiting':
      return { type: 'requires-action', reason: 'tool-calls' }
    case 'completed':
      if (finishReason === 'length') return { type: 'incomplete', reason: 'length' }
      if (finishReason === 'content_filter') return { type: 'incomplete', reason: 'content-filter' }
      return { type: 'complete', reason: 'stop' }
    case 'stopped':
      return { type: 'incomplete', reason: 'cancelled' }
    default:
      return { type: 'incomplete', reason: 'error', error: error?.message ?? status }
  }
}

function toPart(part: LanePart, { files }: ChatLane): Part[] {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return [part]
    case 'tool':
      return [toToolCall(part)]
    case 'data':
      return [{ type: 'data', name: part.name, data: part.value }]
    case 'source': {
      const { source: id, url, title, mediaType } = part
      if (url !== undefined) return [{ type: 'source', sourceType: 'url', id, url, ...(title !== undefined && { title }) }]
      return [{ type: 'source', sourceType: 'document', id, mediaType: mediaType ?? 'text/plain', title: title ?? id }]
    }
    case 'file': {
      const { mediaType, name: filename, position } = part
      const bytes = files.find((file) => file.position === position)?.bytes
      if (bytes === undefined) return []
      const url = toDataUrl(bytes, mediaType)
      if (mediaType.startsWith('image/')) return [{ type: 'image', image: url, ...(filename !== undefined && { filename }) }]
      const file = { type: 'file', data: url, sourceType: 'url', mimeType: mediaType } as const
      return [{ ...file, ...(filename !== undefined && { filename }) }]
    }
    case 'step':
      return []
  }
}

function toToolCall({
  call,
  name,
  arguments: input,
  argumentsText,
  state,
  value,
  approval,
  decision,
  preliminary,
}: ToolPart): Part {
  const isDecided = decision !== undefined || state === 'rejected'
  return {
    type: 'tool-call',
    toolCallId: call,
    toolName: name,
    argsText: input === undefined ? (argumentsText ?? '') : JSON.stringify(input),
    ...(isObject(input) && { args: input }),
    ...(value !== undefined && { result: value }),
    ...(state === 'failed' && { isError: true }),
    ...(preliminary && { isPreliminary: true }),
    ...(approval !== undefined && {
      approval: {
        id: approval,
        ...(isDecided && { approved: state !== 'rejected' }),
        ...(decision?.reason !== undefined && { reason: decision.reason }),
      },
    }),
  }
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a user wrote. Throws a TypeError for a part that a question cannot have. */
export function toQuestion({
  content,
  attachments = [],
}: Pick<AppendMessage, 'content' | 'attachments'>): string | readonly Message[] {
  const parts = [...content, ...attachments.flatMap((attachment) => attachment.content)].map((part): MessagePart => {
    if (part.type === 'text') return { type: 'text', text: part.text }
    // As `toAttachment` makes it.
    if (part.type === 'file' && part.sourceType === 'id') return { type: 'file', file: part.data }
    throw new TypeError(`A question cannot have a part of type "${part.type}" here.`)
  })
  const [first] = parts
  return parts.length === 1 && first?.type === 'text' ? first.text : [{ role: 'user', content: parts }]
}
