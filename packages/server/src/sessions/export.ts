/** A session as a document for people. */
import { type LanePart, type Message, type MessagePart, MillraceError } from '@millrace/protocol'
import { type Exchange, findExchange, joinRuns, pathTo } from './conversation.ts'
import type { Transcript } from './transcript.ts'

/** Without the runs beside the path to the newest; with `through`, to the newest at or below that run. Throws `run_not_found`. */
export function withoutBranches(transcript: Transcript, through?: string): Transcript {
  const exchanges = joinRuns(transcript.runs)
  const path = new Set(pathTo(exchanges, through === undefined ? undefined : newestBelow(exchanges, through)))
  const beside = new Set(exchanges.filter((each) => !path.has(each)).flatMap(({ runs }) => runs))
  return { ...transcript, runs: transcript.runs.filter(({ run }) => !beside.has(run)) }
}

function newestBelow(exchanges: readonly Exchange[], run: string): string | undefined {
  const top = findExchange(exchanges, run)
  if (top === undefined) throw new MillraceError('run_not_found')
  const below = new Set<string | null | undefined>([top.runs[0]])
  // A run follows only one that is before it.
  for (const { runs, parent } of exchanges) if (parent !== null && below.has(parent)) below.add(runs[0])
  return [...below].at(-1) ?? undefined
}

/**
 * Questions are quoted, messages with their roles. Answers are included unchanged, with their Markdown, and joined with the
 * runs that resume them. An incomplete answer is marked. Calls of tools are where they were made, files after the answer.
 */
export function toMarkdown(title: string, { id, runs }: Transcript): string {
  const blocks = [`# ${oneLine(title) || id}`, `Session \`${id}\``]
  const exchanges = joinRuns(runs)
  const byRun = new Map(exchanges.map((exchange) => [exchange.runs[0], exchange]))
  for (const [index, exchange] of exchanges.entries()) {
    const { query, messages, status, lanes } = exchange
    const isNext = index === 0 || exchange.parent === exchanges[index - 1]?.runs[0]
    blocks.push(
      '---',
      ...(isNext ? [] : [toPlace(byRun.get(exchange.parent ?? ''))]),
      ...(messages?.map(toQuote) ?? [quote(query)]),
    )
    for (const { model, parts, files } of lanes.values()) {
      blocks.push(`**${oneLine(model)}**${status === 'completed' ? '' : ` (${status})`}`)
      blocks.push(...parts.map(partToText).filter((text) => text !== ''))
      for (const { name, mediaType, size } of files)
        blocks.push(`*${oneLine(name ?? 'file')}* (${oneLine(mediaType)}, ${size} bytes)`)
    }
  }
  return `${blocks.join('\n\n')}\n`
}

/** What a question follows, where it is not the one above it. */
function toPlace(followed: Exchange | undefined): string {
  return followed === undefined ? '*Begins again*' : `*Follows: ${oneLine(followed.query.slice(0, 200))}*`
}

function quote(text: string): string {
  return text.replace(firstOfLine, '> ')
}

function toQuote({ role, content }: Message): string {
  const parts = typeof content === 'string' ? [content] : content.map(toText)
  return quote([`*${role}*`, ...parts].join('\n\n'))
}

/** Without reasoning. A call of a tool is one line, with its result where it has one. */
function partToText(part: LanePart): string {
  if (part.type === 'text') return closeFences(part.text.trimEnd())
  if (part.type === 'source')
    return [part.title ?? part.source, part.url]
      .filter((text) => text !== undefined)
      .map(oneLine)
      .join(', ')
  if (part.type !== 'tool') return ''
  const { name, arguments: given = null, value, state } = part
  const result = value === undefined ? ` (${state})` : `: ${state === 'failed' ? 'error: ' : ''}${toCode(value)}`
  return `*${oneLine(name)}* ${toCode(given)}${result}`
}

/** Values as code, which no Markdown in them ends. */
function toText(part: MessagePart): string {
  if (part.type === 'text') return part.text
  if (part.type === 'file') return `*${oneLine(part.name ?? 'file')}* (${oneLine(part.mediaType ?? '')}, ${part.size ?? 0} bytes)`
  if (part.type === 'tool_call') return `${oneLine(part.name)}: ${toCode(part.arguments)}`
  return `${part.isError ? 'error: ' : ''}${toCode(part.value)}`
}

function toCode(value: unknown): string {
  const json = JSON.stringify(value)
  const fence = '`'.repeat(1 + Math.max(0, ...(json.match(/`+/g) ?? []).map(({ length }) => length)))
  return `${fence} ${json} ${fence}`
}

/** A line as CommonMark 0.31, section 2.1, defines it: `^` alone would also match inside CRLF and after U+2028. */
const firstOfLine = /(?<=^|\n|\r(?!\n))/g
const lineEnd = /\r\n?|\n/

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_[\]<>#]/g, '\\$&')
}

/**
 * Closes open code: unclosed code would include everything after it. CommonMark 0.31, section 4.5. The closing fence is
 * indented as the opening one: in a list item, a fence at the margin would open new code.
 */
function closeFences(text: string): string {
  let open: { readonly indent: string; readonly marks: string } | undefined
  for (const line of text.split(lineEnd)) {
    const fence = /^( {0,3})(?:(`{3,})([^`]*)|(~{3,})(.*))$/s.exec(line)
    if (fence === null) continue
    const [, indent = '', ticks, afterTicks, tildes, afterTildes] = fence
    const marks = ticks ?? tildes ?? ''
    const rest = afterTicks ?? afterTildes ?? ''
    if (open === undefined) open = { indent, marks }
    else if (marks[0] === open.marks[0] && marks.length >= open.marks.length && rest.trim() === '') open = undefined
  }
  return open === undefined ? text : `${text}\n${open.indent}${open.marks}`
}
