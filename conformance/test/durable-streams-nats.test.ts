/** `@durable-streams/server-conformance-tests` over NATS. */
import { natsEngine } from 'millrace/nats'
import { startNats } from '../src/servers/nats.ts'
import { durableStreamsSuite } from './support/durable-streams-suite.ts'

durableStreamsSuite('nats, two servers', async (onEnd) => {
  const { url, close } = await startNats()
  onEnd(close)
  return [natsEngine({ url }), natsEngine({ url })]
})
