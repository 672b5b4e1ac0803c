/** The checks of the fault suites: they find every violation, and nothing else. */
import { expect, it } from 'vitest'
import { createLogRecord, type LogRecord, type WireEvent } from '../src/faults/log-record.ts'
import { type Findings, type Given, nothingFound } from '../src/history.ts'

const id = (offset: number, epoch = 'k3f9a2xq7m2p') => `${epoch}-${offset}`
const published = (offset: number, n = offset, epoch = 'k3f9a2xq7m2p'): WireEvent => ({
  event: 'message',
  id: id(offset, epoch),
  data: { n },
})
const start: WireEvent = { event: 'stream_start', id: id(1), data: { run: 'r' } }
const said = (offset: number, text: string): WireEvent => ({ event: 'message', id: id(offset), data: { run: 'r', text } })
const ended = (offset: number, run = 'r'): WireEvent => ({ event: 'stream_end', id: id(offset), data: { run } })
const answer = [start, said(2, '1 '), said(3, '2 '), said(4, '3 '), ended(5)]

function give(record: LogRecord, events: readonly WireEvent[]): Given[] {
  return events.flatMap((event) => record.toGiven(event))
}

/** A channel in which 1 to 4 are acknowledged, with the events of its readers and its log. */
function ofChannel(readers: readonly (readonly WireEvent[])[], log: readonly WireEvent[]): Findings {
  const record = createLogRecord('channel=c')
  for (const n of [1, 2, 3, 4]) record.note(n, 'acknowledged', id(n))
  for (const events of readers) record.openList().push(...give(record, events))
  return record.check(give(record, log))
}

/** A session with a run that writes 1 to 3. */
function ofSession(readers: readonly (readonly WireEvent[])[], log: readonly WireEvent[]): Findings {
  const record = createLogRecord('session=s')
  record.addRun('r')
  for (const events of readers) record.openList().push(...give(record, events))
  return record.check(give(record, log))
}

const all = [1, 2, 3, 4].map((n) => published(n))
const merged = [start, said(4, '1 2 3 '), ended(5)]

it('finds nothing in a correct record', () => {
  expect(ofChannel([all, all.slice(0, 2)], all)).toEqual(nothingFound)
  expect(ofSession([answer, merged, answer.slice(0, 3)], answer)).toEqual(nothingFound)
})

it.each<[keyof Findings, readonly WireEvent[][], readonly WireEvent[]]>([
  ['lost', [all], all.slice(0, 3)],
  ['repeated', [[...all, published(5, 4)]], all],
  ['reordered', [[published(1), published(3), published(2)]], all],
  ['phantom', [], [...all, published(5, 9)]],
  ['diverging', [[published(1), published(2, 4)]], all],
  ['gapped', [[published(1), published(3)]], all],
  // Acknowledged at 3 and 4, but recorded in the other order.
  ['diverging', [], [published(1), published(2), published(3, 4), published(4, 3)]],
])('finds what is %s in a channel', (kind, readers, log) => {
  expect(ofChannel(readers, log)[kind]).toBeGreaterThan(0)
})

it.each<[keyof Findings, readonly WireEvent[][], readonly WireEvent[]]>([
  ['lost', [answer], [...answer.slice(0, 3), ended(4)]],
  ['lost', [], [start, said(2, '1 '), said(3, '3 '), ended(4)]],
  ['repeated', [[start, said(2, '1 '), said(3, '1 ')]], answer],
  ['reordered', [], [start, said(2, '1 '), ended(3), said(4, '2 ')]],
  ['reordered', [], [...answer, ended(6)]],
  ['phantom', [], [...answer, ended(6, 'unknown')]],
  ['diverging', [[start, said(2, '2 ')]], answer],
  ['gapped', [[start, said(3, '2 ')]], answer],
])('finds what is %s in a session', (kind, readers, log) => {
  expect(ofSession(readers, log)[kind]).toBeGreaterThan(0)
})

/** The end of a reader's list when it is reset. */
const reset: Given = { epoch: '', offset: 0 }
const after = [1, 2].map((n) => published(n, n, 'm3f9a2xq7m2p'))

function ofChannelAfterReset(log: readonly WireEvent[], others: readonly (readonly WireEvent[])[] = []): Findings {
  const record = createLogRecord('channel=c')
  for (const n of [1, 2, 3, 4]) record.note(n, 'acknowledged', id(n))
  record.openList().push(...give(record, all), reset)
  for (const events of [log, ...others]) record.openList().push(...give(record, events))
  return record.check(give(record, log))
}

it('counts events as reported lost only for a reader that was reset', () => {
  expect(ofChannelAfterReset(after)).toEqual(nothingFound)
  // This one was not reset, and has events that are lost.
  expect(ofChannelAfterReset(after, [all]).lost).toBeGreaterThan(0)
  // In the rest of the log, 4 is not at the position it was acknowledged with.
  expect(ofChannelAfterReset([published(1), published(2), published(3, 4)]).diverging).toBeGreaterThan(0)
})

it('finds events after the end of a run, whatever was reset', () => {
  const record = createLogRecord('session=s')
  record.addRun('r')
  record.openList().push(...give(record, [start]), reset)
  expect(record.check(give(record, [start, said(2, '1 '), ended(3), said(4, '2 ')])).reordered).toBeGreaterThan(0)
})
