import { describe, expect, it } from 'vitest'
import { type BodyForm, BodyLines, createSplitter } from './body-lines.ts'

const bodies: readonly (readonly [BodyForm, string, readonly string[]])[] = [
  ['lines', '\uFEFF{"text":"你"}\r\n\n  {"text":"😀"}  \n{"end":true}', ['{"text":"你"}', '{"text":"😀"}', '{"end":true}']],
  ['events', ': hi\n\ndata: {"a":1}\n\nid: 7\nevent: x\ndata: [DONE]\r\n\r\n', ['{"a":1}', '[DONE]']],
]

const encoder = new TextEncoder()

describe('a body', () => {
  it.each(bodies)('of %s has the same lines however it is split', (form, body, expected) => {
    const bytes = encoder.encode(body)
    for (let at = 0; at <= bytes.length; at++) {
      const splitter = createSplitter(form)
      const lines = [...splitter.push(bytes.subarray(0, at)), ...splitter.push(bytes.subarray(at)), ...splitter.end()]
      expect(lines).toEqual(expected)
    }
  })

  it('of text is whole however it is split', () => {
    const bytes = encoder.encode('a你😀\r\n')
    for (let at = 0; at <= bytes.length; at++) {
      const splitter = createSplitter('text')
      const pieces = [...splitter.push(bytes.subarray(0, at)), ...splitter.push(bytes.subarray(at)), ...splitter.end()]
      expect(pieces.join('')).toBe('a你😀\r\n')
    }
  })

  it.each(['lines', 'events'] as const)('of %s has no line that is larger than allowed', (form) => {
    const start = form === 'lines' ? '' : 'data: '
    const splitter = createSplitter(form, 20)
    expect(splitter.push(encoder.encode(`${start}${'x'.repeat(10)}\n\n`))).toEqual(['x'.repeat(10)])
    const push = () => {
      for (let at = 0; at < 30; at++) splitter.push(encoder.encode(at === 0 ? `${start}x` : 'x'))
    }
    expect(push).toThrow(expect.objectContaining({ code: 'event_too_large' }))
  })

  it('is read no faster than its lines are taken', async () => {
    let pulled = 0
    const stream = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1
          controller.enqueue(encoder.encode('{}\n'))
        },
      },
      { highWaterMark: 0 },
    )
    const body = new BodyLines({ stream, splitter: createSplitter('lines'), onBytes: () => {} })
    expect(await body.next()).toEqual(['{}'])
    expect(await body.next()).toEqual(['{}'])
    expect(pulled).toBe(2)
    const waiting = new BodyLines({
      stream: new ReadableStream(),
      splitter: createSplitter('lines'),
      onBytes: () => {},
    })
    const next = waiting.next()
    waiting.stop('run_ended')
    await expect(next).rejects.toMatchObject({ code: 'run_ended' })
  })
})
