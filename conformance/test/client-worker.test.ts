import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

it.each(['sse', 'ws'])('a client reads and asks in a worker, over %s', async (transport) => {
  const millrace = createMillrace({ model: 'sim:count?n=5&tps=0' })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const worker = new Worker(new URL('./support/reading-worker.ts', import.meta.url), {
    workerData: { url, transport },
    execArgv: ['--conditions=millrace-source'],
  })
  // Asked for before the message: a worker that ends at once tells both in one turn.
  const ended = once(worker, 'exit')
  const [text] = (await once(worker, 'message')) as [string]
  expect(text).toBe('1 2 3 4 5 ')
  await ended
})
