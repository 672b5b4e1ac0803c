/** A session as a document for people. */
import { joinRuns } from './conversation.ts'
import type { Transcript } from './transcript.ts'

/**
 * Questions are quoted and answers stand as they were said, Markdown and all; what continues an answer is part of it,
 * and an answer that is not whole says so. Files are named, behind the words.
 */
export function toMarkdown(title: string, { id, runs }: Transcript): string {
  const blocks = [`# ${oneLine(title) || id}`, `Session \`${id}\``]
  for (const { query, status, lanes } of joinRuns(runs)) {
    blocks.push('---', query.replace(/^/gm, '> '))
    for (const { model, text, files } of lanes.values()) {
      blocks.push(`**${oneLine(model)}**${status === 'completed' ? '' : ` (${status})`}`)
      if (text !== '') blocks.push(closeFences(text.trimEnd()))
      for (const { name, mediaType, size } of files)
        blocks.push(`*${oneLine(name ?? 'file')}* (${oneLine(mediaType)}, ${size} bytes)`)
    }
  }
  return `${blocks.join('\n\n')}\n`
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>#]/g, '\\$&')
}

/** Code that was cut off would swallow everything after it. CommonMark 0.31, section 4.5. */
function closeFences(text: string): string {
  let open: string | undefined
  for (const line of text.split('\n')) {
    const fence = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line)
    const [, marks = '', rest = ''] = fence ?? []
    if (fence === null) continue
    if (open === undefined) open = marks
    else if (marks[0] === open[0] && marks.length >= open.length && rest.trim() === '') open = undefined
  }
  return open === undefined ? text : `${text}\n${open}`
}
