/** A client in a worker: asks, reads to the end, and tells what it read. */
import { parentPort, workerData } from 'node:worker_threads'
import { connect } from '@millrace/client'

const { url, transport } = workerData as { url: string; transport: 'ws' | 'sse' }
const client = connect(url, { transport })
const session = client.session()
const run = session.run({ query: 'count' })
let text = ''
for await (const event of session.events()) {
  if (event.type === 'message') text += event.data.text
  if (event.type === 'stream_end' && event.data.run === run.id) break
}
client.close()
parentPort?.postMessage(text)
