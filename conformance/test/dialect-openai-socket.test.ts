/** OpenAI's own client over a WebSocket that is cut after every event: the rest of the response is read over HTTP. */
import { createMillrace } from 'millrace'
import OpenAI from 'openai'
import type { ResponsesServerEvent } from 'openai/resources/responses/responses'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/index.ts'
import { engines } from './support/engines.ts'
import { talker, talkerTools } from './support/talker.ts'

/** The events of a response, until it ends or the connection breaks. */
async function read(client: OpenAI, onEvent = (_count: number) => {}): Promise<ResponsesServerEvent[]> {
  const socket = new ResponsesWS(client)
  const events: ResponsesServerEvent[] = []
  const closed = Promise.withResolvers<void>()
  socket.on('close', () => closed.resolve())
  socket.on('error', () => {})
  socket.on('event', (event) => {
    events.push(event)
    if (event.type === 'response.completed') socket.close()
    else onEvent(events.length)
  })
  socket.send({ type: 'response.create', model: 'talker', input: 'where?' })
  await closed.promise
  return events
}

/** Without what differs from one response to the next. */
function bare(events: readonly object[]): unknown {
  const [{ response }] = events as [{ response: { id: string; created_at: number } }]
  const run = response.id.slice(response.id.indexOf('.') + 1)
  const session = response.id.slice('resp_'.length, response.id.indexOf('.'))
  const text = JSON.stringify(events, (key, value) => (key.endsWith('_at') ? null : value))
  return JSON.parse(text.replaceAll(run, 'run').replaceAll(session, 'session'))
}

describe.each(engines)('over %s', (_engine, open) => {
  it('a response is whole, cut after any event', async () => {
    const engine = await open()
    const millrace = createMillrace({ engine, models: [talker('二')], model: 'talker', tools: talkerTools, dialects: ['openai'] })
    onTestFinished(() => millrace.close())
    const { port, url } = await millrace.listen({ port: 0 })
    const proxy = await startFaultProxy(port)
    onTestFinished(() => proxy[Symbol.asyncDispose]())
    const direct = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' })
    const cuttable = new OpenAI({ baseURL: `${proxy.url}/v1`, apiKey: 'none' })
    const whole = await read(direct)
    expect(whole.at(-1)).toMatchObject({ type: 'response.completed' })
    for (let count = 1; count < whole.length; count++) {
      const events: object[] = await read(cuttable, (received) => {
        if (received === count) proxy.cut()
      })
      expect(events.length).toBeGreaterThanOrEqual(count)
      const [{ response }] = events as [{ response: { id: string } }]
      const { sequence_number: last } = events.at(-1) as { sequence_number: number }
      for await (const event of await direct.responses.retrieve(response.id, { stream: true, starting_after: last }))
        events.push(event)
      expect(bare(events)).toEqual(bare(whole))
    }
  })
})
