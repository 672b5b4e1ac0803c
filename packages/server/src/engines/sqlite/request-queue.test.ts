import { expect, it } from 'vitest'
import { type PendingRequest, RequestQueue } from './request-queue.ts'
import type { Request } from './requests.ts'

const mebibyte = 1024 * 1024

function pending(request: Partial<Request> & Pick<Request, 'op'>, addedAt = 0): PendingRequest {
  return { request: request as Request, addedAt, resolve: () => {}, reject: () => {} }
}
const append = (bytes: number) => pending({ op: 'append', events: [{ type: 'm', data: 'x'.repeat(bytes) }] })

it('groups at most 256 requests, in their order', () => {
  const queue = new RequestQueue()
  const all = Array.from({ length: 300 }, () => pending({ op: 'inspect' }))
  for (const each of all) expect(queue.add(each)).toBe(true)
  expect(queue.take(0).group).toEqual(all.slice(0, 256))
  expect(queue.take(0).group).toEqual(all.slice(256))
  expect(queue.take(0).group).toEqual([])
})

it.each([
  ['appends hold', append(1.5 * mebibyte)],
  ['reads request', pending({ op: 'read', bytesMax: 1.5 * mebibyte })],
])('groups the bytes that %s up to 4 MiB', (_what, each) => {
  const queue = new RequestQueue()
  for (let n = 0; n < 3; n++) queue.add(each)
  expect([queue.take(0).group.length, queue.take(0).group.length]).toEqual([2, 1])
})

it('groups a request alone that exceeds the bytes of a group', () => {
  const queue = new RequestQueue()
  for (const bytes of [5 * mebibyte, 1]) queue.add(append(bytes))
  expect([queue.take(0).group.length, queue.take(0).group.length]).toEqual([1, 1])
})

it('accepts no more than 64 MiB, and more again when a group has left', () => {
  const queue = new RequestQueue()
  const each = append(mebibyte)
  for (let n = 0; n < 64; n++) expect(queue.add(each)).toBe(true)
  expect(queue.add(each)).toBe(false)
  expect(queue.add(pending({ op: 'read', bytesMax: mebibyte }))).toBe(true)
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
