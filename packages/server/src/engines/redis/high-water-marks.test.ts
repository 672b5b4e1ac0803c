import { expect, it } from 'vitest'
import { HighWaterMarks } from './high-water-marks.ts'

const mark = { epoch: 'e', offset: 5, server: 'one', isSubscribed: true }

it('verifies a log for another Redis process only when it was notified of every append', () => {
  const marks = new HighWaterMarks()
  marks.record('log', mark)
  expect(marks.argsFor('log', 'two', false).slice(0, 4)).toEqual(['two', 'e', '5', 'one'])
  marks.unsubscribed('log')
  expect(marks.argsFor('log', 'two', false).slice(0, 4)).toEqual(['two', 'e', '5', ''])
})

it('keeps the highest head of an epoch, and its own last append', () => {
  const marks = new HighWaterMarks()
  marks.record('log', { ...mark, own: { number: 3, offset: 4 } })
  expect(marks.record('log', { ...mark, offset: 2, isSubscribed: false })).toBe(false)
  marks.raise('log', 9)
  marks.raise('log', 7)
  expect(marks.get('log')).toMatchObject({ offset: 9, isSubscribed: true, own: { number: 3, offset: 4 } })
})

it('forgets that it was subscribed when the Redis process is another', () => {
  const marks = new HighWaterMarks()
  marks.record('log', mark)
  marks.record('log', { ...mark, server: 'two', isSubscribed: false })
  expect(marks.get('log')).toMatchObject({ server: 'two', isSubscribed: false })
})

it('starts over with another epoch, or when the log has ended', () => {
  const marks = new HighWaterMarks()
  marks.record('log', mark)
  expect(marks.record('log', { ...mark, epoch: 'f', offset: 1 })).toBe(true)
  expect(marks.get('log')).toMatchObject({ epoch: 'f', offset: 1 })
  marks.raise('log', 0)
  expect(marks.get('log')).toBeUndefined()
})

it('gives every log once, also where each is used meanwhile', () => {
  const marks = new HighWaterMarks()
  for (const log of ['a', 'b', 'c']) marks.record(log, mark)
  const seen: string[] = []
  for (const log of marks.logs) {
    marks.argsFor(log, 'two', false)
    if (seen.push(log) > 3) break
  }
  expect(seen.toSorted()).toEqual(['a', 'b', 'c'])
})
