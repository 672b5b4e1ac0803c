import type { Message } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { toMarkdown } from './export.ts'
import type { Transcript } from './transcript.ts'

function exportOf(query: string, text: string, messages?: readonly Message[]): string {
  const lane = {
    lane: 'm',
    model: 'm',
    status: 'completed' as const,
    text,
    reasoning: '',
    data: [],
    files: [],
    parts: text === '' ? [] : [{ type: 'text' as const, text }],
  }
  const transcript: Transcript = {
    id: 's',
    position: 'e-1',
    complete: true,
    queue: [],
    isPaused: false,
    runs: [{ run: 'r', query, ...(messages && { messages }), startedAt: 0, status: 'completed', lanes: [lane] }],
  }
  return toMarkdown('t', transcript).split('---\n\n')[1] as string
}

it.each([
  ['LF', 'one\ntwo', '> one\n> two'],
  ['CRLF', 'one\r\ntwo\r\n\r\nthree', '> one\r\n> two\r\n> \r\n> three'],
  ['CR', 'one\rtwo', '> one\r> two'],
  ['a separator that Markdown does not know', 'one\u2028two', '> one\u2028two'],
  ['nothing', '', '> '],
])('quotes each line of a question once, with %s between them', (_between, query, quoted) => {
  expect(exportOf(query, '')).toBe(`${quoted}\n\n**m**\n`)
})

it('quotes messages with their roles, and values as code', () => {
  const messages: Message[] = [
    { role: 'user', content: 'one\ntwo' },
    { role: 'assistant', content: [{ type: 'tool_call', id: 'c', name: 'a_b', arguments: { x: '`' } }] },
    { role: 'tool', content: [{ type: 'tool_result', call: 'c', value: 'no', isError: true }] },
  ]
  expect(exportOf('', '', messages)).toBe(
    '> *user*\n> \n> one\n> two\n\n> *assistant*\n> \n> a\\_b: `` {"x":"`"} ``\n\n> *tool*\n> \n> error: ` "no" `\n\n**m**\n',
  )
})

it.each([
  ['with CRLF', '```js\r\nlet a', '```'],
  ['with CR', '```js\rlet a', '```'],
  ['with tildes', '~~~ `x`\nlet a', '~~~'],
  ['by four marks', '````\n```\nlet a', '````'],
  ['in a list', '1. x\n\n   ```js\n   let a', '   ```'],
])('closes code that was left open %s', (_how, text, closing) => {
  expect(exportOf('q', text)).toBe(`> q\n\n**m**\n\n${text}\n${closing}\n`)
})

it.each([
  ['is closed, with CRLF', '```js\r\nlet a\r\n```\r\nthen'],
  ['is closed by more marks', '```\nlet a\n`````'],
  ['is in a line', 'say ```js`x` and\n```a`'],
])('leaves code that %s', (_how, text) => {
  expect(exportOf('q', text)).toBe(`> q\n\n**m**\n\n${text}\n`)
})
