import { redisEngine } from 'millrace/redis'
import { afterAll } from 'vitest'
import { engineConformance } from '../src/index.ts'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
afterAll(() => redis.close())
let engines = 0

engineConformance({
  name: 'redis',
  make(limits) {
    engines += 1
    return redisEngine({ url: redis.url, prefix: `test-${engines}`, ...limits })
  },
})
