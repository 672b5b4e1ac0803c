/** Files as LangChain's models take them, and which of them a model takes. */
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

export async function toBlock(part: ModelFilePart, signal: AbortSignal): Promise<LangChainBlock> {
  const { mediaType, name = 'file' } = part
  const bytes = await part.read(signal)
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (mediaType.startsWith('text/') || mediaType === 'application/json')
    return { type: 'text', text: `${name}:\n\n${data.toString()}\n\n` }
  if (mediaType.startsWith('image/'))
    return { type: 'image_url', image_url: { url: `data:${mediaType};base64,${data.toString('base64')}` } }
  return {
    type: 'file',
    source_type: 'base64',
    mime_type: mediaType,
    data: data.toString('base64'),
    metadata: { filename: name },
  }
}
