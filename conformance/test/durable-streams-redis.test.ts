/** `@durable-streams/server-conformance-tests` over Redis. */
import { redisEngine } from 'millrace/redis'
import { startRedis } from '../src/servers/redis.ts'
import { durableStreamsSuite } from './support/durable-streams-suite.ts'

durableStreamsSuite('redis, two servers', async (onEnd) => {
  const { url, close } = await startRedis()
  onEnd(close)
  return [redisEngine({ url }), redisEngine({ url })]
})
