/** A server of its own process over a shared engine: says its address, and is ended by a signal. */
import { createMillrace } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'

const [url = '', leaseMs = ''] = process.argv.slice(2)
const millrace = createMillrace({
  engine: url.startsWith('nats:') ? natsEngine({ url }) : redisEngine({ url }),
  leaseMs: Number(leaseMs),
})
const { url: address } = await millrace.listen({ port: 0 })
process.stdout.write(`${address}\n`)
