/** The cache of recent events is bounded in bytes too, and has no hole after a trim. */
import { expect, it } from 'vitest'
import { createRecentEvents } from './recent-events.ts'

const bounds = { eventsMax: 512, bytesMax: 10_000_000, oldest: 0 }
const at = (offset: number) => ({ epoch: 'e', offset })
const data = new Uint8Array(300_000)

it('keeps about a mebibyte of one log, always the newest events', () => {
  const recent = createRecentEvents()
  for (let head = 1; head <= 20; head++) {
    recent.push('a', { epoch: 'e', head, start: 0, time: 1, events: [{ type: 'file_data', data }] })
    expect(recent.read('a', at(head - 1), bounds)?.events).toHaveLength(1)
  }
  expect(recent.read('a', at(15), bounds)).toBeUndefined()
  expect(recent.read('a', at(18), bounds)?.events.map(({ offset }) => offset)).toEqual([19, 20])
})

it('counts the names of fields', () => {
  const recent = createRecentEvents()
  for (let head = 1; head <= 20; head++)
    recent.push('a', { epoch: 'e', head, start: 0, time: 1, events: [{ type: 'm', data: { ['n'.repeat(300_000)]: head } }] })
  expect(recent.read('a', at(15), bounds)).toBeUndefined()
})

it('evicts the logs with the oldest last append when all together are too large', () => {
  const recent = createRecentEvents()
  for (let log = 0; log < 400; log++)
    recent.push(`${log}`, { epoch: 'e', head: 1, start: 0, time: 1, events: [{ type: 'file_data', data }] })
  const cached = Array.from({ length: 400 }, (_, log) => recent.read(`${log}`, at(0), bounds) !== undefined)
  // 64 MiB of 300,000 bytes each.
  expect(cached.lastIndexOf(false)).toBe(400 - 223 - 1)
  expect(cached.filter(Boolean)).toHaveLength(223)
  recent.clear()
  recent.push('0', { epoch: 'e', head: 1, start: 0, time: 1, events: [{ type: 'file_data', data }] })
  expect(recent.read('0', at(0), bounds)).toBeDefined()
})

it('keeps what it has when events arrive again', () => {
  const recent = createRecentEvents()
  const push = (head: number, count = 1) =>
    recent.push('a', { epoch: 'e', head, start: 0, time: 1, events: Array(count).fill({ type: 'm', data: head }) })
  for (const head of [1, 2, 3, 2, 1]) push(head)
  push(3, 2)
  expect(recent.read('a', at(0), bounds)?.events.map(({ data }) => data)).toEqual([1, 2, 3])
})
