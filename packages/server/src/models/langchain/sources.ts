/** What an answer refers to, as LangChain's messages have it: citations at their text. */
import type { SourceInfo } from '@millrace/protocol'
import { asFields } from './provider-chunk.ts'

/** Of a block of text. */
export function sourcesOf(annotations: unknown): SourceInfo[] {
  return (Array.isArray(annotations) ? annotations : []).flatMap((annotation): SourceInfo[] => {
    const { type, url, title } = asFields(annotation)
    const isUrl = type === 'citation' && typeof url === 'string' && /^https?:/i.test(url)
    return isUrl ? [{ source: url, url, ...(typeof title === 'string' && { title }) }] : []
  })
}
