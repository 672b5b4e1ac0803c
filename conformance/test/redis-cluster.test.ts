/** The whole suite over a cluster, which rejects a script whose keys are in two slots or not declared. */
import { createClient } from '@redis/client'
import { redisEngine } from 'millrace/redis'
import { afterAll, expect, it } from 'vitest'
import { engineConformance } from '../src/index.ts'
import { findPort } from '../src/servers/port.ts'
import { startRedis } from '../src/servers/redis.ts'

// The default is a port that is 10,000 higher, which another program may have.
const redis = await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-port', String(await findPort())] })
const client = createClient({ url: redis.url })
await client.connect()
await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383'])
while (!(await client.sendCommand<string>(['CLUSTER', 'INFO'])).includes('cluster_state:ok')) await new Promise(setImmediate)
afterAll(async () => {
  client.destroy()
  await redis.close()
})

it('is a cluster that rejects commands across slots', async () => {
  await expect(client.sendCommand(['DEL', 'a', 'b'])).rejects.toThrow('CROSSSLOT')
})

let engines = 0

engineConformance({
  name: 'redis cluster',
  make(limits) {
    engines += 1
    return redisEngine({ url: redis.url, prefix: `test-${engines}`, ...limits })
  },
})
