/** Chunks of an answer that is known already: its texts whole, and its calls with what came of them. */
import { type FileInfo, type LanePart, type ToolPart, type UiChunk, uiResultOf, uiSourceOf } from '@millrace/protocol'
import { fileUrl } from '../shared/file-url.ts'

export interface Chunk {
  readonly type: string
  readonly [field: string]: unknown
}

export interface Parts {
  readonly lane: string
  readonly parts: readonly LanePart[]
}

export function fileChunk(session: string, position: string, { mediaType, name, size }: FileInfo): Chunk {
  const url = fileUrl(session, position)
  return { type: 'file', url, mediaType, providerMetadata: { millrace: { size, ...(name !== undefined && { name }) } } }
}

export function* earlierChunks(session: string, lanes: readonly Parts[]): Generator<Chunk> {
  yield { type: 'start-step' }
  for (const [index, { lane, parts }] of lanes.entries()) {
    const named = lanes.length === 1 ? {} : { providerMetadata: { millrace: { lane } } }
    for (const [number, part] of parts.entries()) {
      if (part.type === 'step') {
        if (lanes.length === 1 && number < parts.length - 1) yield* [{ type: 'finish-step' }, { type: 'start-step' }]
      } else for (const chunk of partChunks(session, part, `e${index}-${number}`)) yield { ...named, ...chunk }
    }
  }
  yield { type: 'finish-step' }
}

function partChunks(session: string, part: Exclude<LanePart, { type: 'step' }>, id: string): (Chunk | UiChunk)[] {
  switch (part.type) {
    case 'text':
    case 'reasoning':
      return [
        { type: `${part.type}-start`, id },
        { type: `${part.type}-delta`, id, delta: part.text },
        { type: `${part.type}-end`, id },
      ]
    case 'tool':
      return toolChunks(part)
    case 'data':
      return [{ type: `data-${part.name}`, data: part.value }]
    case 'file':
      return [fileChunk(session, part.position, part)]
    case 'source':
      return [uiSourceOf(part)]
  }
}

/** A call that was never finished is left out. Nobody executes one that is decided again. */
function toolChunks({ call: toolCallId, name: toolName, arguments: input, by, state, approval, value }: ToolPart): Chunk[] {
  if (state === 'streaming') return []
  const providerExecuted = by !== 'client' || state !== 'waiting'
  const chunks: Chunk[] = [{ type: 'tool-input-available', toolCallId, toolName, input, providerExecuted }]
  if (approval !== undefined) chunks.push({ type: 'tool-approval-request', approvalId: approval, toolCallId })
  if (state === 'rejected') chunks.push({ type: 'tool-output-denied', toolCallId })
  else if (state === 'done' || state === 'failed')
    chunks.push(uiResultOf(toolCallId, { value: value ?? null, ...(state === 'failed' && { isError: true }) }))
  return chunks
}
