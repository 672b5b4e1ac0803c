/** An answer that was asked for as JSON, formatted as it grows. What turns out to be no JSON is shown as any other answer. */
import { parsePartialJson } from '@millrace/client/json'
import { memo, useState } from 'react'
import { CodeBlock } from '../markdown/code-block.tsx'
import { Markdown } from '../markdown/markdown.tsx'
import { formatJson } from './format.ts'

/** A longer text is formatted when it has grown by a sixteenth, so that the work for all of it stays linear. */
const eagerMax = 16_384

interface Formatted {
  readonly text: string
  readonly isGrowing: boolean
  /** Undefined for what is no JSON. */
  readonly json: string | undefined
}

export default memo(function JsonText({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  const [last, setLast] = useState<Formatted>({ text: '', isGrowing: true, json: undefined })
  const isDue = text !== last.text && !(isGrowing && text.length > eagerMax && text.length - last.text.length < text.length / 16)
  const next = isDue || isGrowing !== last.isGrowing ? { text, isGrowing, json: format(text) } : last
  if (next !== last) setLast(next)
  if (next.json === undefined) return <Markdown text={text} isGrowing={isGrowing} />
  return <CodeBlock code={next.json} language="json" isOpen={isGrowing} isWrapped />
})

function format(text: string): string | undefined {
  return parsePartialJson(text) === undefined ? undefined : formatJson(text)
}
