/** What a run was asked, as the items of its input. */
import type { FilePart, Message, MessagePart } from '@millrace/protocol'
import type { RunRecord } from '../../../sessions/transcript.ts'
import { fileUrl } from '../../shared/file-url.ts'
import { jsonText } from '../../shared/json-text.ts'
import { formatItemId, type RunName } from '../ids.ts'
import { invalid } from '../request-fields.ts'
import type { ShownItem } from './items.ts'

/** Of a run that goes on with another, what that one was asked. */
export function inputItemsOf(name: RunName, { query, messages }: Pick<RunRecord, 'query' | 'messages'>): readonly ShownItem[] {
  let count = 0
  const idOf = (prefix: 'msg' | 'fc' | 'fco') => formatItemId(prefix, name, 'in', count++)
  const asked: readonly Message[] = messages ?? [{ role: 'user', content: query }]
  return asked.flatMap(({ role, content }): ShownItem[] => {
    const parts: readonly MessagePart[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content
    const said = parts.flatMap((part) => saidContent(role, part, name.session))
    const message = { type: 'message', role, status: 'completed', content: said }
    return [
      ...(said.length === 0 ? [] : [{ id: idOf('msg'), ...message }]),
      ...parts.flatMap((part): ShownItem[] => {
        if (part.type === 'tool_call') {
          const { id: call_id, name: called, arguments: given } = part
          const call = { type: 'function_call', call_id, name: called, arguments: jsonText(given) }
          return [{ id: idOf('fc'), ...call, status: 'completed' }]
        }
        if (part.type !== 'tool_result') return []
        const { call: call_id, value } = part
        return [{ id: idOf('fco'), type: 'function_call_output', call_id, output: jsonText(value), status: 'completed' }]
      }),
    ]
  })
}

function saidContent(role: Message['role'], part: MessagePart, session: string): object[] {
  if (part.type === 'file') return [fileContent(part, session)]
  if (part.type !== 'text') return []
  const { text } = part
  return [role === 'assistant' ? { type: 'output_text', text, annotations: [], logprobs: [] } : { type: 'input_text', text }]
}

function fileContent({ file, mediaType = '', name }: FilePart, session: string): object {
  const url = fileUrl(session, file)
  if (mediaType.startsWith('image/')) return { type: 'input_image', detail: 'auto', file_id: null, image_url: url }
  return { type: 'input_file', file_url: url, ...(name !== undefined && { filename: name }) }
}

interface ListQuery {
  /** Default `desc`, as of OpenAI. */
  readonly order?: 'asc' | 'desc' | undefined
  readonly limit?: number | undefined
  /** The id of the last item of the page before. */
  readonly after?: string | undefined
}

/** Throws `invalid_request` where `after` is none of the items. */
export function listItems(items: readonly ShownItem[], { order = 'desc', limit = 20, after }: ListQuery): object {
  const all = order === 'asc' ? items : items.toReversed()
  const begin = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1
  if (after !== undefined && begin === 0) throw invalid('after', 'is the id of no item of this list')
  const data = all.slice(begin, begin + limit)
  const ids = { first_id: data.at(0)?.id ?? null, last_id: data.at(-1)?.id ?? null }
  return { object: 'list', data, ...ids, has_more: begin + limit < all.length }
}
