import { expect, it } from 'vitest'
import { type PendingRequest, RequestQueue } from './request-queue.ts'
import type { Request } from './requests.ts'

const mebibyte = 1024 * 1024

function pending(request: Partial<Request> & Pick<Request, 'op'>, addedAt = 0): PendingRequest {
  return { request: request as Request, addedAt, resolve: () => {}, reject: () => {} }
}
const append = (size: number) => pending({ op: 'append', batch: { count: 1, size, content: '' } })
const read = (bytesMax: number) => pending({ op: 'read', bytesMax })

it('groups at most 512 requests, in their order', () => {
  const queue = new RequestQueue()
  const all = Array.from({ length: 600 }, () => pending({ op: 'inspect' }))
  for (const each of all) expect(queue.add(each)).toBe(true)
  expect(queue.take(0).group).toEqual(all.slice(0, 512))
  expect(queue.take(0).group).toEqual(all.slice(512))
  expect(queue.take(0).group).toEqual([])
})

it.each([
  ['that appends hold up to 4 MiB', append(1.5 * mebibyte)],
  ['that reads request up to 1 MiB', read(0.4 * mebibyte)],
])('groups the bytes %s', (_what, each) => {
  const queue = new RequestQueue()
  for (let n = 0; n < 3; n++) queue.add(each)
  expect([queue.take(0).group.length, queue.take(0).group.length]).toEqual([2, 1])
})

it('groups a request alone that exceeds the bytes of a group', () => {
  const queue = new RequestQueue()
  for (const bytes of [5 * mebibyte, 1]) queue.add(append(bytes))
  expect([queue.take(0).group.length, queue.take(0).group.length]).toEqual([1, 1])
})

it('groups a few packings at once', () => {
  const queue = new RequestQueue()
  for (let n = 0; n < 100; n++) queue.add(pending({ op: 'compact' }))
  expect(queue.take(0).group).toHaveLength(16)
})

it('takes a group of writes and a group of reads in turn, each in its order', () => {
  const queue = new RequestQueue()
  const writes = Array.from({ length: 6 }, () => append(1.5 * mebibyte))
  const reads = Array.from({ length: 4 }, () => read(0.4 * mebibyte))
  for (const each of [...reads, ...writes]) queue.add(each)
  const groups = Array.from({ length: 6 }, () => queue.take(0).group)
  const expected = [writes.slice(0, 2), reads.slice(0, 2), writes.slice(2, 4), reads.slice(2), writes.slice(4), []]
  expect(groups).toEqual(expected)
})

it('accepts no more than 64 MiB, and more again when a group has left', () => {
  const queue = new RequestQueue()
  const each = append(mebibyte)
  for (let n = 0; n < 64; n++) expect(queue.add(each)).toBe(true)
  expect(queue.add(each)).toBe(false)
  expect(queue.add(read(mebibyte))).toBe(true)
  expect(queue.take(0).group).toHaveLength(4)
  expect(queue.add(each)).toBe(true)
})

it('separates late requests from the group', () => {
  const queue = new RequestQueue()
  const [first, second, third] = [1, 2, 3].map((at) => pending({ op: 'inspect' }, at))
  for (const each of [first, second, third]) queue.add(each as PendingRequest)
  expect(queue.take(3)).toEqual({ late: [first, second], group: [third] })
  expect(queue.length).toBe(0)
})
