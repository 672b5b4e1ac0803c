/** One of several servers over a shared engine, as a process: prints its address, and stops on signals like `millrace start`. */
import { createMillrace } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'

const [url = '', leaseMs = '', port = '0', graceMs = '8000'] = process.argv.slice(2)
// Servers of a cluster are separated by commas.
const replicas = Number(new URL(url.split(',')[0] ?? '').searchParams.get('replicas') ?? 0)
const millrace = createMillrace({
  engine: url.startsWith('nats:') ? natsEngine({ url }) : redisEngine({ url: url.replace(/\?.*/, ''), replicas }),
  model: 'sim:count',
  usage: true,
  leaseMs: Number(leaseMs),
})
process.once('SIGTERM', () => void millrace.close({ graceMs: Number(graceMs) }).then(() => process.exit(0)))
const { url: address } = await millrace.listen({ port: Number(port) })
process.stdout.write(`${address}\n`)
