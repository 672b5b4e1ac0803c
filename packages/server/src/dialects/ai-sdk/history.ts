/** The newest conversation of a chat as messages, for a page that is opened. The answer in progress is left out: it is streamed. */
import { type LanePart, type Message, textOfMessage, uiSourceOf, uiToolOf } from '@millrace/protocol'
import { type Exchange, pathTo } from '../../sessions/conversation.ts'
import { fileUrl } from '../shared/file-url.ts'
import { messageKey } from '../shared/message-key.ts'
import { answerId } from './ids.ts'

export interface UiMessageJson {
  readonly id: string
  readonly role: 'system' | 'user' | 'assistant'
  readonly metadata?: object
  readonly parts: readonly object[]
}

export function readHistory(session: string, exchanges: readonly Exchange[]): UiMessageJson[] {
  return pathTo(exchanges).flatMap((exchange) => [
    ...questionOf(session, exchange),
    ...(exchange.status === 'streaming' ? [] : [answerOf(session, exchange)]),
  ])
}

/** The metadata have the id of the last message only; those before it are history that was posted with it. */
function questionOf(session: string, { query, messages, metadata, runs: [run = ''] }: Exchange): UiMessageJson[] {
  const all: readonly Message[] = messages ?? [{ role: 'user', content: query }]
  return all.flatMap((message, index): UiMessageJson[] => {
    if (message.role === 'tool') return []
    const isLast = index === all.length - 1
    const id = (isLast ? metadata?.[messageKey] : undefined) ?? (isLast ? run : `${run}-${index}`)
    return [{ id, role: message.role, parts: partsOf(session, message) }]
  })
}

function partsOf(session: string, message: Message): object[] {
  const files = typeof message.content === 'string' ? [] : message.content.filter((part) => part.type === 'file')
  const text = textOfMessage(message)
  return [
    ...files.map(({ file, mediaType, name }) => ({
      type: 'file',
      mediaType,
      url: fileUrl(session, file),
      ...(name !== undefined && { filename: name }),
    })),
    ...(text === '' ? [] : [{ type: 'text', text }]),
  ]
}

function answerOf(session: string, { status, lanes, runs }: Exchange): UiMessageJson {
  const models = [...lanes].map(([lane, { model }]) => [lane, { model }] as const)
  const said = models.length === 1 ? models[0]?.[1] : { lanes: Object.fromEntries(models) }
  const parts = [...lanes].flatMap(([lane, { parts: all }]) => {
    const named = lanes.size === 1 ? {} : { providerMetadata: { millrace: { lane } } }
    return all.flatMap((part, index) => answerParts(session, part, index === all.length - 1).map((one) => ({ ...one, ...named })))
  })
  return {
    id: answerId(runs[0] ?? ''),
    role: 'assistant',
    metadata: { session, run: runs.at(-1), ...said, status },
    parts: [{ type: 'step-start' }, ...parts],
  }
}

function answerParts(session: string, part: LanePart, isLast: boolean): object[] {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return [{ ...part, state: 'done' }]
    case 'tool':
      return [{ type: `tool-${part.name}`, ...uiToolOf(part) }]
    case 'data':
      return [{ type: `data-${part.name}`, data: part.value }]
    case 'file':
      return [{ type: 'file', mediaType: part.mediaType, url: fileUrl(session, part.position) }]
    case 'source':
      return [uiSourceOf(part)]
    case 'step':
      return isLast ? [] : [{ type: 'step-start' }]
  }
}
