import type { SessionEvent } from '@millrace/protocol'
import { expect, test } from 'vitest'
import { comparePositions, interruptSession, reduceSession } from './reduce.ts'
import { end, number, position, snapshot } from './testing/log.ts'

const start: SessionEvent = {
  type: 'stream_start',
  data: { run: 'r', session: 's', query: 'hi', lanes: [{ lane: 'a', model: 'a' }] },
}
const say = (text: string, lane = 'a'): SessionEvent => ({ type: 'message', data: { run: 'r', lane, text } })
const finish: SessionEvent = { type: 'stream_end', data: { run: 'r', ...end() } }

const replay = (events: SessionEvent[], from = snapshot([])) => number(events).reduce(reduceSession, from)

test('an answer grows by its deltas and ends with its measures', () => {
  const state = replay([start, say('1 '), say('2 '), finish])
  expect(state.position).toBe(position(4))
  expect(state.runs[0]).toMatchObject({ query: 'hi', status: 'completed', end: { timings: end().timings } })
  expect(state.runs[0]?.lanes[0]).toMatchObject({ text: '1 2 ', status: 'completed', end: { usage: end().usage } })
})

test('an event at or before the position changes nothing at all', () => {
  const events = number([start, say('1 '), say('2 ')])
  const state = events.reduce(reduceSession, snapshot([]))
  for (const event of events) expect(reduceSession(state, event)).toBe(state)
})

test('reasoning and data stand apart from the text', () => {
  const state = replay([
    start,
    { type: 'reasoning', data: { run: 'r', lane: 'a', reasoning: 'hm' } },
    { type: 'data', data: { run: 'r', lane: 'a', name: 'source', value: { page: 3 } } },
    say('yes'),
  ])
  expect(state.runs[0]?.lanes[0]).toMatchObject({
    text: 'yes',
    reasoning: 'hm',
    data: [{ name: 'source', value: { page: 3 } }],
  })
})

test('a lane that fails leaves the other one as it is', () => {
  const lanes = [
    { lane: 'a', model: 'a' },
    { lane: 'b', model: 'b' },
  ]
  const error = { code: 'model_failed', message: 'broke', retryable: true } as const
  const state = replay([
    { type: 'stream_start', data: { run: 'r', session: 's', query: 'hi', lanes } },
    say('from a', 'a'),
    { type: 'lane_end', data: { run: 'r', lane: 'a', model: 'a', ...end('failed'), error } },
    say('from b', 'b'),
  ])
  expect(state.runs[0]?.status).toBe('streaming')
  expect(state.runs[0]?.lanes[0]).toMatchObject({ text: 'from a', status: 'failed', end: { error } })
  expect(state.runs[0]?.lanes[1]).toMatchObject({ text: 'from b', status: 'streaming' })
})

test('nothing is added to a run after its end, nor to a run whose start is not known', () => {
  const ended = replay([start, say('1 '), finish])
  const after = number([
    start,
    say('1 '),
    finish,
    say('late'),
    { type: 'message', data: { run: 'unknown', lane: 'a', text: 'x' } },
  ])
  const state = after.reduce(reduceSession, ended)
  expect(state.runs).toEqual(ended.runs)
  expect(state.position).toBe(position(5))
})

test('what continues a run is more of the same answer, at its place, with the measures of both', () => {
  const goOn = (continues: string, run: string): SessionEvent => ({
    type: 'stream_start',
    data: { run, session: 's', query: 'hi', lanes: [{ lane: 'a', model: 'a' }], continues },
  })
  const sayIn = (run: string, text: string): SessionEvent => ({ type: 'message', data: { run, lane: 'a', text } })
  const finishRun = (run: string, status: 'interrupted' | 'completed', tokens: number): SessionEvent => ({
    type: 'stream_end',
    data: { run, ...end(status, tokens) },
  })
  const between: SessionEvent = { type: 'stream_start', data: { ...start.data, run: 'between' } as never }
  const events = [start, say('1 '), finishRun('r', 'interrupted', 5), between, goOn('r', 'r2'), sayIn('r2', '2 ')]
  const state = replay(events)
  expect(state.runs).toMatchObject([
    { run: 'r', continuedBy: 'r2', status: 'streaming', lanes: [{ text: '1 2 ', status: 'streaming' }] },
    { run: 'between' },
  ])
  // How it ended before is no longer how it stands.
  expect([state.runs[0]?.end, state.runs[0]?.lanes[0]?.end]).toEqual([undefined, undefined])
  const again = [finishRun('r2', 'interrupted', 6), goOn('r2', 'r3'), sayIn('r3', '3'), finishRun('r3', 'completed', 7)]
  const whole = replay([...events, ...again])
  expect(whole.runs).toMatchObject([
    { run: 'r', continuedBy: 'r3', status: 'completed', lanes: [{ text: '1 2 3', status: 'completed' }] },
    { run: 'between' },
  ])
  expect(whole.runs[0]?.lanes[0]?.end).toMatchObject({
    usage: { inputTokens: 3, outputTokens: 18, totalTokens: 21 },
    timings: { firstTokenMs: 20, durationMs: 1200 },
  })
  expect(whole.runs).toEqual(snapshot([...events, ...again]).runs)
})

test('what continues a run that is no longer kept stands by itself, and says so however it goes on', () => {
  const start = (run: string, continues: string): SessionEvent => ({
    type: 'stream_start',
    data: { run, session: 's', query: 'hi', lanes: [{ lane: 'a', model: 'a' }], continues },
  })
  const end2: SessionEvent = { type: 'stream_end', data: { run: 'r2', ...end('stopped') } }
  expect(replay([start('r2', 'gone'), end2, start('r3', 'r2')]).runs).toMatchObject([
    { run: 'r2', continues: 'gone', continuedBy: 'r3', status: 'streaming' },
  ])
})

test('a gap asks for a snapshot and moves nothing', () => {
  const before = replay([start, say('1 ')])
  const state = reduceSession(before, { type: 'gap', data: { from: position(2), to: position(9) } })
  expect(state).toEqual({ ...before, complete: false, stale: true })
})

test('an event of another epoch is not applied and asks for a snapshot', () => {
  const before = replay([start, say('1 ')])
  const state = reduceSession(before, { ...say('from another log'), position: 'zzzzzzzz-3' })
  expect(state).toEqual({ ...before, stale: true })
})

test('a session that was lost waits for nothing any more, and keeps what ended before', () => {
  const ended = replay([start, say('1 '), finish])
  expect(interruptSession(ended)).toEqual(ended)
  const state = interruptSession(replay([start, say('1 ')]))
  expect(state.runs[0]).toMatchObject({ status: 'interrupted', lanes: [{ text: '1 ', status: 'interrupted' }] })
})

test('positions compare within their epoch and by number, not by text', () => {
  expect(comparePositions(position(9), position(10))).toBe('new')
  expect(comparePositions(position(10), position(9))).toBe('seen')
  expect(comparePositions(position(9), position(9))).toBe('seen')
  expect(comparePositions(position(9), 'aaaaaaaa-10')).toBe('foreign')
  expect(comparePositions(position(9), '')).toBe('foreign')
  expect(comparePositions(position(9), `some-session:${position(10)}`)).toBe('new')
})
