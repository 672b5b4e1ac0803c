import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type EventType, isEventType, readEvent, readSnapshot } from './decode.ts'

test('an event that has its shape is read, with its position', () => {
  expect(readEvent('message', { run: 'r', lane: 'a', text: '你' }, 'k3f9a2xq-2')).toEqual({
    type: 'message',
    data: { run: 'r', lane: 'a', text: '你' },
    position: 'k3f9a2xq-2',
  })
})

test('whatever else arrives is refused, never thrown at the reader', () => {
  const garbage = fc.oneof(
    fc.string(),
    fc.jsonValue(),
    fc.uint8Array(),
    fc.constant({ run: 'r', lane: 'a', text: 3 }),
    fc.constant({ run: 'r', lanes: [{}] }),
  )
  const types: EventType[] = ['stream_start', 'message', 'reasoning', 'data', 'lane_end', 'stream_end', 'gap']
  for (const type of types) expect(isEventType(type)).toBe(true)
  expect(isEventType('toString')).toBe(false)
  fc.assert(
    fc.property(fc.constantFrom(...types), garbage, (type, data) => {
      expect(readEvent(type, data, 'k3f9a2xq-1')).toBeUndefined()
    }),
  )
  fc.assert(
    fc.property(fc.jsonValue(), (body) => {
      expect(readSnapshot(body)).toBeUndefined()
    }),
  )
})

test('a status of a later version counts as ended, so that nobody waits for ever', () => {
  const lane = { lane: 'a', model: 'a', text: 'x', reasoning: '', data: [], status: 'paused' }
  const state = readSnapshot({
    id: 's',
    position: 'k3f9a2xq-1',
    complete: true,
    runs: [{ run: 'r', query: 'q', status: 'paused', lanes: [lane] }],
  })
  expect(state?.runs[0]?.status).toBe('interrupted')
  expect(state?.runs[0]?.lanes[0]?.status).toBe('interrupted')
})
