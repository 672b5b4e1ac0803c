/** Files as LangChain's models take them, and which of them a model takes. */
import { MillraceError } from '@millrace/protocol'
import type { ModelFilePart } from '../model.ts'

export type LangChainBlock =
  | { readonly type: 'text'; readonly text: string }
  /** The form of a picture that the package of every provider converts. */
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }
  /** LangChain's block of data, of versions 0.3 and later. */
  | {
      readonly type: 'file'
      readonly source_type: 'base64'
      readonly mime_type: string
      readonly data: string
      readonly metadata: { readonly filename: string }
    }

interface ChatModel {
  _llmType(): string
  /** What LangChain knows of the model by its name; empty for one that it does not know. */
  readonly profile?: { readonly imageInputs?: boolean; readonly pdfInputs?: boolean }
}

const pictures = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'] as const
const pdf = 'application/pdf'
/** Given as text, which every model takes. */
const texts = ['text/*', 'application/json'] as const

/** By `_llmType()`, for models that LangChain has no profile of. */
const families: Readonly<Record<string, readonly string[]>> = {
  openai: [...pictures, pdf],
  azure_openai: [...pictures, pdf],
  anthropic: [...pictures, pdf],
  googlegenerativeai: [...pictures, pdf],
  vertexai: [...pictures, pdf],
  mistral_ai: pictures,
  xai: pictures,
  ollama: pictures,
}

export function acceptedBy(model: object): readonly string[] {
  const chatModel = model as ChatModel
  const { imageInputs, pdfInputs } = chatModel.profile ?? {}
  const usual = families[chatModel._llmType()] ?? []
  return [
    ...texts,
    ...pictures.filter((type) => imageInputs ?? usual.includes(type)),
    ...((pdfInputs ?? usual.includes(pdf)) ? [pdf] : []),
  ]
}

/** Of a file that retention has removed from the conversation its name is left. */
export async function toBlock(part: ModelFilePart, signal: AbortSignal): Promise<LangChainBlock> {
  try {
    return withBytes(part, await part.read(signal))
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'position_expired') throw error
    const { name = 'file', mediaType, size } = part
    return { type: 'text', text: `[${name}, ${mediaType}, ${size} bytes, no longer kept]` }
  }
}

function withBytes({ mediaType, name = 'file' }: ModelFilePart, bytes: Uint8Array): LangChainBlock {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (mediaType.startsWith('text/') || mediaType === 'application/json')
    return { type: 'text', text: `${name}:\n\n${buffer.toString()}\n\n` }
  const data = buffer.toString('base64')
  if (mediaType.startsWith('image/')) return { type: 'image_url', image_url: { url: `data:${mediaType};base64,${data}` } }
  return { type: 'file', source_type: 'base64', mime_type: mediaType, data, metadata: { filename: name } }
}
