/**
 * How many tokens a request has: an estimate, since no provider's tokenizer is here, by the rule that counts where a model does
 * not report its usage. What the server itself adds, such as its instructions, is not counted.
 */
import { encodeJson, type Json } from '@millrace/protocol'
import { estimateTokens } from '../../runs/tokens.ts'
import type { FileBytesPart } from '../../sessions/given-files.ts'
import { isBytes } from '../shared/asked-files.ts'
import type { toAsk } from './request.ts'

/** What Anthropic counts for a picture of the size to which it reduces larger ones. */
const fileTokens = 1600

type Asked = ReturnType<typeof toAsk>
type Part = Exclude<Asked['messages'][number]['content'], string>[number]

export function countTokens({ ask: { instructions = '', tools = [] }, messages }: Asked): number {
  const parts = messages.flatMap(({ content }): readonly (Part | string)[] => (typeof content === 'string' ? [content] : content))
  const files = parts.filter(isFile)
  const texts = parts.map((part) => (typeof part === 'string' ? part : textOf(part)))
  return (
    estimateTokens([instructions, ...texts, ...tools.map((tool) => encodeJson(tool as unknown as Json))]) +
    files.length * fileTokens
  )
}

function isFile(part: Part | string): part is FileBytesPart {
  return typeof part !== 'string' && isBytes(part)
}

function textOf(part: Part): string {
  switch (part.type) {
    case 'text':
      return part.text
    case 'tool_call':
      return part.name + encodeJson(part.arguments)
    case 'tool_result':
      return typeof part.value === 'string' ? part.value : encodeJson(part.value)
    default:
      return ''
  }
}
