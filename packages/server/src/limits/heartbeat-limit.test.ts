import { expect, it } from 'vitest'
import { createHeartbeatLimit } from './heartbeat-limit.ts'

it('lets an address name 64 servers a second, and any number of their streams', () => {
  let time = 0
  const limit = createHeartbeatLimit(() => time)
  const allowed = (address: string) =>
    Array.from({ length: 200 }, (_, index) => limit.allows(`node${index}.a`, address)).filter(Boolean).length
  expect(allowed('192.0.2.1')).toBe(64)
  expect(limit.allows('node0.b', '192.0.2.1')).toBe(true)
  expect(limit.allows('one-of-no-server', '192.0.2.1')).toBe(true)
  expect(limit.allows('node0.b', '192.0.2.2')).toBe(true)
  expect(limit.allows('another.a', '192.0.2.1')).toBe(false)
  time = 1000
  expect(allowed('192.0.2.1')).toBe(64)
})
