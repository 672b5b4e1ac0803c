/** Counts that the servers of one Redis share, for limits. Each is a key of its own, so that any node of a cluster has some. */
import type { Counters } from '../../log/log.ts'
import type { Calls } from './calls.ts'
import type { Names } from './names.ts'

/** A request waits for its count; a server that does not get one in time counts by itself. */
const callMs = 500

/** KEYS[1] a number. ARGV: amount, window in milliseconds. */
const addScript = `
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], left)
end
return {sum, left}
`

/** KEYS[1] a sorted set of holders by when their places are free again. ARGV: holder, most holders, milliseconds. */
const holdScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local isHeld = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not isHeld and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
`

/** KEYS[1] the same. ARGV: holder. */
const releaseScript = "return redis.call('ZREM', KEYS[1], ARGV[1])"

export function createCounters(calls: Calls, names: Names): Counters {
  const run = (script: string, key: string, ...args: readonly (string | number)[]) => {
    calls.assertOpen()
    const deadline = performance.now() + callMs
    return calls.connection.run(script, [names.countOf(key)], () => args.map(String), deadline)
  }
  return {
    async add(key, amount, windowMs) {
      const [sum, leftMs] = (await run(addScript, `${key}:sum`, amount, windowMs)) as [number, number]
      return { sum, leftMs }
    },
    hold: async (key, holder, max, ms) => (await run(holdScript, `${key}:places`, holder, max, ms)) === 1,
    async release(key, holder) {
      await run(releaseScript, `${key}:places`, holder)
    },
  }
}
