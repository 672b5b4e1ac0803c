/** A user beside an attack: publishes into a channel that it reads, and measures how long each event takes to arrive. */
import { once } from 'node:events'
import { Agent, get, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

const { port } = workerData as { port: number }
const samplesMin = 10
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const local = { host: '127.0.0.1', port, localAddress: '127.0.0.1' }
const latencies: number[] = []
let isOver = false
let received = () => {}

parentPort?.once('message', () => {
  isOver = true
})

const [stream] = await once(get({ ...local, path: '/api/stream?channel=bystander&from=now' }), 'response')
let text = ''
stream.setEncoding('utf8').on('data', (chunk: string) => {
  text += chunk
  if (!/^event: seen/m.test(text)) return
  text = ''
  received()
})
stream.once('close', () => {
  if (!isOver) throw new Error('The stream of the bystander was closed.')
})
parentPort?.postMessage('ready')
// An attack may be over before much was measured.
while (!isOver || latencies.length < samplesMin) {
  const arrived = new Promise<void>((resolve) => {
    received = resolve
  })
  const startedAt = performance.now()
  await publish()
  await arrived
  latencies.push(performance.now() - startedAt)
  await sleep(10)
}
parentPort?.postMessage(latencies)
stream.destroy()
agent.destroy()

async function publish(): Promise<void> {
  const body = JSON.stringify({ channel: 'bystander', event: 'seen', data: 1 })
  const headers = { 'content-type': 'application/json', 'content-length': body.length }
  const sent = request({ ...local, agent, path: '/api/publish', method: 'POST', headers })
  sent.end(body)
  const [response] = await once(sent, 'response')
  for await (const _chunk of response);
  if (response.statusCode !== 200) throw new Error(`The bystander was rejected with ${response.statusCode}.`)
}
