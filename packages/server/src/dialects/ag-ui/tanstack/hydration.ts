/** A conversation as TanStack AI shows it after a reload: its messages, the run that is active, and what waits. */
import type { LanePart, ToolPart } from '@millrace/protocol'
import { withoutBranches } from '../../../sessions/export.ts'
import type { RunRecord, Transcript } from '../../../sessions/transcript.ts'
import { isWaiting } from '../../../sessions/waiting.ts'
import { fileUrl } from '../../shared/file-url.ts'
import { jsonText } from '../../shared/json-text.ts'
import { messageKey } from '../../shared/message-key.ts'
import { toInterrupt } from '../ends.ts'

export interface Hydration {
  readonly messages: readonly UiMessage[]
  readonly activeRun: { readonly runId: string } | null
  readonly interrupts?: { readonly runId: string; readonly pending: readonly object[] }
  readonly page?: { readonly truncated: true; readonly cursor: string }
}

interface UiMessage {
  readonly id: string
  readonly role: 'user' | 'assistant'
  readonly parts: readonly object[]
  readonly createdAt: string
}

interface Page {
  /** How many messages at the most; the newest. */
  readonly limit?: number | undefined
  /** The id of a message: only those before it. */
  readonly before?: string | undefined
}

export function hydrate(transcript: Transcript, { limit, before }: Page): Hydration {
  const { runs } = withoutBranches(transcript)
  const all = runs.flatMap((run) => messagesOf(transcript.id, run))
  const end =
    before === undefined
      ? all.length
      : Math.max(
          0,
          all.findIndex(({ id }) => id === before),
        )
  const start = limit === undefined ? 0 : Math.max(0, end - limit)
  const messages = all.slice(start, end)
  const last = runs.at(-1)
  const waiting = last === undefined ? [] : waitingOf(last)
  return {
    messages,
    activeRun: last?.status === 'streaming' ? { runId: last.run } : null,
    ...(last !== undefined && waiting.length > 0 && { interrupts: { runId: last.run, pending: waiting.map(toInterrupt) } }),
    ...(start > 0 && messages[0] !== undefined && { page: { truncated: true, cursor: messages[0].id } }),
  }
}

/** The answer of a run that is active comes with its stream. */
function messagesOf(session: string, record: RunRecord): UiMessage[] {
  const { run, metadata, continues, startedAt, status, lanes } = record
  const createdAt = new Date(startedAt).toISOString()
  const id = metadata?.[messageKey] ?? `${run}-query`
  const question: UiMessage = { id, role: 'user', parts: questionParts(session, record), createdAt }
  const answers = lanes.map(({ parts }, index): UiMessage => {
    return { id: lanes.length === 1 ? run : `${run}-${index}`, role: 'assistant', parts: toUiParts(parts), createdAt }
  })
  return [
    ...(continues === undefined && question.parts.length > 0 ? [question] : []),
    ...(status === 'streaming' ? [] : answers.filter(({ parts }) => parts.length > 0)),
  ]
}

/** The text of a question, and its files by their addresses. */
function questionParts(session: string, { query, messages = [] }: Pick<RunRecord, 'query' | 'messages'>): object[] {
  const content = messages.at(-1)?.content ?? ''
  const files = typeof content === 'string' ? [] : content.filter((part) => part.type === 'file')
  const shown = files.map(({ file, mediaType = '' }) => ({
    type: /^(image|audio|video)(?=\/)/.exec(mediaType)?.[0] ?? 'document',
    source: { type: 'url', value: fileUrl(session, file), mimeType: mediaType },
  }))
  return [...(query === '' ? [] : [{ type: 'text', content: query }]), ...shown]
}

/** The results of calls that were made together follow all of them, as in the stream. */
function toUiParts(parts: readonly LanePart[]): object[] {
  const shown: object[] = []
  let results: object[] = []
  for (const part of parts) {
    if (part.type === 'tool') {
      const [call, ...more] = toToolParts(part)
      shown.push(call as object)
      results.push(...more)
      continue
    }
    shown.push(...results)
    results = []
    if (part.type === 'text') shown.push({ type: 'text', content: part.text })
    else if (part.type === 'reasoning') shown.push({ type: 'thinking', content: part.text })
  }
  return [...shown, ...results]
}

function toToolParts({ call, name, arguments: input = {}, state, value, approval }: ToolPart): object[] {
  const isFailed = state === 'failed' || state === 'rejected'
  const of = { type: 'tool-call', id: call, name, arguments: jsonText(input), input }
  const asked = state === 'waiting' && approval !== undefined
  const toolCall = {
    ...of,
    state: asked ? 'approval-requested' : value === undefined ? 'input-complete' : isFailed ? 'error' : 'complete',
    ...(asked && { approval: { id: approval, needsApproval: true } }),
    ...(value !== undefined && { output: value }),
  }
  if (value === undefined) return [toolCall]
  const content = jsonText(value)
  return [toolCall, { type: 'tool-result', toolCallId: call, content, state: isFailed ? 'error' : 'complete' }]
}

function waitingOf({ lanes }: RunRecord) {
  return lanes.flatMap(({ status, parts }) =>
    status === 'waiting' ? parts.filter((part): part is ToolPart => part.type === 'tool' && isWaiting(part)) : [],
  )
}
