import { expect, it } from 'vitest'
import { createEndedRuns } from './ended-runs.ts'
import { hashQuery } from './query-hash.ts'
import type { RecordedEnd, Run } from './run.ts'

const end: RecordedEnd = {
  status: 'completed',
  usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 },
  timings: { firstTokenMs: 4, durationMs: 5 },
  position: 's:epoch-7',
}

function runOf(id: string, more: Partial<Run> = {}): Run {
  return {
    id,
    session: 's',
    queryHash: hashQuery(id, 'q'),
    asked: ['m'],
    continues: undefined,
    lanes: [{ lane: 'm', model: 'm' }],
    start: { epoch: 'epoch', offset: 3 },
    ended: Promise.resolve(end),
    end,
    stop() {},
    ...more,
  }
}

it('returns a run as it ended', async () => {
  const ended = createEndedRuns(10_000)
  ended.add(runOf('a'), end)
  ended.add(runOf('b', { asked: undefined, continues: 'a', session: 't' }), end)
  const { stop: _stop, ...a } = ended.get('a') as Run
  const { stop: _expected, ...expected } = runOf('a')
  expect(a).toEqual(expected)
  expect(await a.ended).toEqual(end)
  expect(ended.get('b')).toMatchObject({ continues: 'a', session: 't', end })
  expect([ended.of('s'), ended.of('t')]).toEqual([['a'], ['b']])
  ended.forget('a')
  expect(ended.get('a')).toBeUndefined()
})

it.each([
  ['one byte for a character', 'm'],
  ['two', '模'],
])('evicts the runs that ended first, by bytes, with %s', (_bytes, letter) => {
  const model = letter.repeat(256)
  const lanes = [{ lane: model, model }]
  const ended = createEndedRuns(100_000)
  for (let n = 0; n < 1000; n++) ended.add(runOf(`run-${n}`, { lanes }), end)
  const kept = ended.of('s')
  const bytes = kept.reduce((sum, id) => sum + JSON.stringify(ended.get(id)).length * (letter === 'm' ? 1 : 2), 0)
  expect(kept.at(-1)).toBe('run-999')
  expect(kept[0]).toBe(`run-${1000 - kept.length}`)
  expect(bytes).toBeLessThan(100_000)
  expect(bytes).toBeGreaterThan(50_000)
})
