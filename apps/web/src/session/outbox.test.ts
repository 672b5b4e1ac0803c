import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Answer, Question } from './api.ts'
import { createOutbox } from './outbox.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const done: Answer = { kind: 'done', body: {} }
const refused: Answer = {
  kind: 'refused',
  status: 404,
  error: { code: 'model_not_found', message: 'no', retryable: false },
}

function openOutbox(...answers: Answer[]) {
  const sent: Question[] = []
  const outbox = createOutbox('s', {
    ensureSession: async () => done,
    async startRun(question) {
      sent.push(question)
      return answers.shift() ?? done
    },
    setTimer(run, delayMs) {
      const timer = setTimeout(run, delayMs)
      return () => clearTimeout(timer)
    },
    random: () => 0,
    changed: () => {},
  })
  const ask = (id: string) => outbox.add({ id, query: `q ${id}`, models: ['m'] })
  return {
    outbox,
    sent,
    ask,
    statuses: () => outbox.pending.map((entry) => entry.status),
    settle: () => vi.advanceTimersByTimeAsync(0),
  }
}

test('a question is sent at once and stays until its run is recorded', async () => {
  const { outbox, sent, ask, statuses, settle } = openOutbox()
  ask('one')
  await settle()
  expect(sent).toEqual([{ session: 's', id: 'one', query: 'q one', models: ['m'] }])
  expect(statuses()).toEqual(['sending'])
  outbox.settle(new Set(['one']), true)
  expect(outbox.pending).toEqual([])
})

test('without an answer it is sent again under the same id', async () => {
  const { sent, ask, statuses, settle } = openOutbox({ kind: 'unreachable' }, { kind: 'unreachable' }, done)
  ask('one')
  await settle()
  expect(statuses()).toEqual(['waiting'])
  await vi.advanceTimersByTimeAsync(5_000)
  expect(sent.map(({ id }) => id)).toEqual(['one', 'one', 'one'])
  expect(statuses()).toEqual(['sending'])
})

test('a run that appears in the log although its answer was lost is not sent again', async () => {
  const { outbox, sent, ask, settle } = openOutbox({ kind: 'unreachable' })
  ask('one')
  await settle()
  outbox.settle(new Set(['one']), true)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(sent).toHaveLength(1)
})

test('a question asked during an answer waits for its end', async () => {
  const { outbox, sent, ask, statuses, settle } = openOutbox()
  ask('one')
  outbox.settle(new Set(['one']), true)
  ask('two')
  ask('three')
  await settle()
  expect(sent.map(({ id }) => id)).toEqual(['one'])
  expect(statuses()).toEqual(['queued', 'queued'])
  outbox.settle(new Set(['one']), false)
  await settle()
  expect(sent.map(({ id }) => id)).toEqual(['one', 'two'])
  expect(statuses()).toEqual(['sending', 'queued'])
})

test('a refused question keeps its reason and lets the next one through', async () => {
  const { outbox, sent, ask, settle } = openOutbox(refused)
  ask('one')
  ask('two')
  await settle()
  expect(sent.map(({ id }) => id)).toEqual(['one', 'two'])
  expect(outbox.pending[0]).toMatchObject({ status: 'refused', error: { code: 'model_not_found' } })
})

test('what was taken back is not sent', async () => {
  const { outbox, sent, ask, settle } = openOutbox()
  outbox.settle(new Set(), true)
  ask('one')
  outbox.cancel('one')
  outbox.settle(new Set(), false)
  await settle()
  expect(sent).toEqual([])
})

test('what was refused before a reload is not sent again by it', async () => {
  const { outbox, sent, statuses, settle } = openOutbox()
  const error = { code: 'model_not_found', message: 'no', retryable: false } as const
  outbox.add({ id: 'one', query: 'q', models: ['m'], error })
  await settle()
  expect([sent, statuses()]).toEqual([[], ['refused']])
  outbox.retry('one')
  await settle()
  expect(sent).toHaveLength(1)
})

test('a question whose log is lost after it was accepted does not hold up the next one', async () => {
  const { outbox, sent, ask, statuses, settle } = openOutbox()
  ask('one')
  await settle()
  ask('two')
  outbox.lose()
  outbox.settle(new Set(), false)
  await settle()
  expect(sent.map(({ id }) => id)).toEqual(['one', 'two'])
  expect(statuses()).toEqual(['refused', 'sending'])
  expect(outbox.pending[0]?.error?.retryable).toBe(true)
})
