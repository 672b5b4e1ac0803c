import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSseParser, encodeSseComment, encodeSseEvent, encodeSseRetry, type ParsedSseEvent } from '../src/index.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const wire = (name: string) => readFileSync(new URL(`wire/${name}.txt`, import.meta.url))

function parse(chunks: Iterable<Uint8Array>): ParsedSseEvent[] {
  const events: ParsedSseEvent[] = []
  const parser = createSseParser({ onEvent: (event) => events.push(event) })
  for (const chunk of chunks) parser.push(chunk)
  return events
}

describe('the SSE encoder', () => {
  it('writes the golden bytes', () => {
    const text =
      encodeSseRetry(2137) +
      encodeSseComment() +
      encodeSseEvent({ event: 'message', id: 'k3f9a2xq-2', data: '{"text":"你"}' }) +
      encodeSseEvent({ data: 'one\r\ntwo\rthree\nfour' }) +
      encodeSseComment('a comment\nof two lines') +
      encodeSseEvent({ event: 'stream_end', id: 'k3f9a2xq-3', data: '' })
    expect(Buffer.from(text)).toEqual(wire('encoder'))
  })

  it.each(['a\rb', 'a\nb', 'a\r\nb', 'a\0b'])('rejects %j in the name and the id of an event', (value) => {
    expect(() => encodeSseEvent({ event: value, data: '' })).toThrow(TypeError)
    expect(() => encodeSseEvent({ id: value, data: '' })).toThrow(TypeError)
  })

  it.each([1.5, -1, Number.NaN, Number.POSITIVE_INFINITY])('rejects %d as a retry, which browsers would ignore', (value) => {
    expect(() => encodeSseRetry(value)).toThrow(TypeError)
  })

  it('writes one event with exactly these fields, whatever they contain', () => {
    const nasty = fc.string({
      unit: fc.constantFrom('\r', '\n', '\0', ':', ' ', 'data', 'id', 'event', 'x', '\uFEFF', '你', '\u2028'),
    })
    const name = nasty.map((text) => text.replace(/[\r\n\0]/g, '_')).filter((text) => text !== '')
    fc.assert(
      fc.property(nasty, name, name, nasty, (data, event, id, comment) => {
        const text = encodeSseComment(comment) + encodeSseEvent({ event, id, data }) + encodeSseComment(comment)
        const read = parse([bytes(text)])
        expect(read).toEqual([{ event, id, data: data.replace(/\r\n|\r/g, '\n') }])
      }),
    )
  })
})

describe('the SSE parser', () => {
  const cases: [string, ParsedSseEvent[]][] = [
    [
      'standard',
      [
        { event: 'message', data: 'YHOO\n+2\n10', id: '' },
        { event: 'add', data: '73857293', id: '' },
        { event: 'message', data: 'first event', id: '1' },
        { event: 'message', data: 'second event', id: '' },
        { event: 'message', data: ' third event', id: '' },
        { event: 'message', data: '', id: '' },
        { event: 'message', data: '\n', id: '' },
      ],
    ],
    [
      'line-ends',
      [
        { event: 'message', data: 'lf', id: '' },
        { event: 'message', data: 'crlf', id: '' },
        { event: 'message', data: 'cr', id: '' },
        { event: 'message', data: 'mixed\nlines', id: '' },
      ],
    ],
    [
      'ids',
      [
        { event: 'message', data: 'a', id: 'one' },
        { event: 'message', data: 'kept', id: 'one' },
        { event: 'message', data: 'without data it still counts', id: 'two' },
        { event: 'message', data: 'NUL is ignored', id: 'two' },
        { event: 'message', data: 'reset', id: '' },
      ],
    ],
    ['bom', [{ event: 'message', data: 'a leading BOM goes', id: '' }]],
  ]

  it.each(cases)('reads the golden bytes of %s', (name, events) => {
    expect(parse([wire(name)])).toEqual(events)
  })

  it.each(cases)('reads %s the same from every pair of chunks, and byte by byte', (name, events) => {
    const whole = wire(name)
    for (let at = 0; at <= whole.length; at++) expect(parse([whole.subarray(0, at), whole.subarray(at)])).toEqual(events)
    expect(parse(Array.from(whole, (byte) => Uint8Array.of(byte)))).toEqual(events)
  })

  it('reads every stream the same from every split', () => {
    const piece = fc.constantFrom(
      'data',
      'id',
      'event',
      'retry',
      ':',
      ' ',
      '\n',
      '\r',
      '\r\n',
      '\n\n',
      'x',
      '你',
      '\0',
      '\uFEFF',
      '😀',
      '7',
    )
    const anyStream = fc.array(piece, { maxLength: 60 }).map((pieces) => bytes(pieces.join('')))
    fc.assert(
      fc.property(anyStream, fc.array(fc.nat(200)), (stream, cuts) => {
        const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length]
        const chunks = places.slice(1).map((to, index) => stream.subarray(places[index], to))
        expect(parse(chunks)).toEqual(parse([stream]))
      }),
    )
  })

  it.each(['\n\n', '\r\r', '\r\n\r'])('emits an event at the last byte of its blank line, %j', (blank) => {
    const events: ParsedSseEvent[] = []
    const parser = createSseParser({ onEvent: (event) => events.push(event) })
    const text = bytes(`data: now${blank}`)
    parser.push(text.subarray(0, -1))
    expect(events).toHaveLength(0)
    parser.push(text.subarray(-1))
    expect(events).toHaveLength(1)
  })

  it('reads bytes that are not UTF-8 as replacement characters', () => {
    expect(parse([Uint8Array.of(...bytes('data: a'), 0xff, ...bytes('b\n\n'))])[0]?.data).toBe('a\uFFFDb')
  })

  it('sets the id to resume from only at the end of an event', () => {
    const parser = createSseParser({ onEvent: () => {} })
    parser.push(bytes('id: one\ndata: a\n\nid: two\nda'))
    expect(parser.lastEventId).toBe('one')
    parser.push(bytes('ta: b\n\nid: three\n\n'))
    expect(parser.lastEventId).toBe('three')
  })

  it('reports comments, and a retry that has only digits', () => {
    const seen: unknown[] = []
    const parser = createSseParser({
      onEvent: () => {},
      onComment: (comment) => seen.push(comment),
      onRetry: (ms) => seen.push(ms),
    })
    parser.push(bytes(': hi\n:\nretry: 1e3\nretry: -1\nretry: 250\n\n'))
    expect(seen).toEqual(['hi', '', 250])
  })

  it.each([
    ['one endless line', 'x'],
    ['endless lines of one event', 'data: x\n'],
    ['endless empty lines of data', 'data\n'],
  ])('stops with one error on %s', (_name, piece) => {
    const problems: string[] = []
    const parser = createSseParser({ onEvent: () => {}, onError: (problem) => problems.push(problem), eventBytesMax: 1000 })
    for (let i = 0; i < 3000; i++) parser.push(bytes(piece))
    parser.push(bytes('\n\ndata: later\n\n'))
    expect(problems).toEqual(['An event of the stream is larger than 1000 bytes.'])
  })

  it('limits one event, not the number of events and comments', () => {
    let count = 0
    const parser = createSseParser({
      onEvent: () => count++,
      onError: (problem) => expect.unreachable(problem),
      eventBytesMax: 100,
    })
    for (let i = 0; i < 1000; i++) parser.push(bytes('data: 0123456789\n\n: comment\n\n'))
    expect(count).toBe(1000)
  })

  it('names the options it takes when it gets something else', () => {
    // @ts-expect-error A caller without types can make this mistake.
    expect(() => createSseParser(() => {})).toThrow('createSseParser takes { onEvent(event)')
  })
})
