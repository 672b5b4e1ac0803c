/** OpenAI's own client against a server, with the Responses API over a WebSocket. */
import { once } from 'node:events'
import type { MillraceOptions } from 'millrace'
import OpenAI from 'openai'
import type { ResponsesServerEvent } from 'openai/resources/responses/responses'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { describe, expect, it, onTestFinished } from 'vitest'
import { gatedModel } from '../support/gated-model.ts'
import { startServer } from '../support/server.ts'
import { secret, sign } from '../support/tokens.ts'

async function start(options: MillraceOptions = {}, apiKey = 'none') {
  const server = await startServer({ dialects: ['openai'], model: 'sim:count?n=3&tps=0', ...options })
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey })
  return { ...server, client, open: () => open(client) }
}

/** A socket, what it has received, and how to wait for the end of a response. */
function open(client: OpenAI) {
  const socket = new ResponsesWS(client)
  onTestFinished(() => socket.close())
  const events: ResponsesServerEvent[] = []
  const errors: { error?: { code?: string; message?: string }; status?: number; stream_id?: string }[] = []
  socket.on('event', (event) => void events.push(event))
  socket.on('error', ({ error }) => void errors.push(error as never))
  const ended = () => events.flatMap((event) => (event.type === 'response.completed' ? [event] : []))
  return { socket, events, errors, ended }
}

const textOf = (events: readonly ResponsesServerEvent[]) =>
  events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('')

describe('responses over a WebSocket', () => {
  it('have the events of a stream, and follow each other', async () => {
    const { client, open } = await start()
    const { socket, events, ended } = open()
    socket.send({ type: 'response.create', model: 'default', input: 'one' })
    await expect.poll(ended).toHaveLength(1)
    const [first] = ended()
    const streamed: unknown[] = []
    for await (const event of await client.responses.retrieve(first?.response.id ?? '', { stream: true })) streamed.push(event)
    expect(events).toEqual(streamed)
    expect(textOf(events)).toBe('1 2 3 ')
    const model = 'sim:echo?show=messages&tps=0'
    socket.send({ type: 'response.create', model, input: 'two', previous_response_id: first?.response.id ?? '' })
    await expect.poll(ended).toHaveLength(2)
    const said = JSON.parse(textOf(events).slice('1 2 3 '.length)) as { text: string }[]
    expect(said.map(({ text }) => text)).toEqual(['one', '1 2 3 ', 'two'])
  })

  it('wait for the one before in their stream, while another stream is answered', async () => {
    const model = gatedModel('gated')
    const { open } = await start({ models: [model] })
    const { socket, events, ended } = open()
    socket.send({ type: 'response.create', model: 'gated', input: 'one', stream_id: 'a' })
    await expect.poll(() => events.length).toBeGreaterThan(0)
    socket.send({ type: 'response.create', model: 'sim:count?n=1&tps=0', input: 'two', stream_id: 'a' })
    socket.send({ type: 'response.create', model: 'sim:count?n=2&tps=0', input: 'three', stream_id: 'b' })
    await expect.poll(ended).toMatchObject([{ stream_id: 'b' }])
    expect(events.filter(({ type }) => type === 'response.created')).toHaveLength(2)
    model.say('0 ')
    model.finish()
    await expect.poll(ended).toMatchObject([{ stream_id: 'b' }, { stream_id: 'a' }, { stream_id: 'a' }])
    expect(textOf(events.filter((event) => 'stream_id' in event && event.stream_id === 'a'))).toBe('0 1 ')
    expect(events.every((event) => 'stream_id' in event)).toBe(true)
  })

  it('go on where the client has left, which reads the rest over HTTP', async () => {
    const model = gatedModel('gated')
    const { client, open } = await start({ models: [model] })
    const { socket, events } = open()
    socket.send({ type: 'response.create', model: 'gated', input: 'one' })
    model.say('1 ')
    await expect.poll(() => textOf(events)).toBe('1 ')
    const closed = once(socket.socket as never, 'close')
    socket.close()
    await closed
    model.say('2 ')
    model.finish()
    const [created] = events
    const id = created?.type === 'response.created' ? created.response.id : ''
    const last = (events.at(-1) as { sequence_number: number }).sequence_number
    let rest = ''
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: last }))
      if (event.type === 'response.output_text.delta') rest += event.delta
    expect(rest).toBe('2 ')
  })

  it('are each a run, also where two say the same', async () => {
    const { open } = await start()
    const { socket, ended } = open()
    for (let count = 0; count < 2; count++) socket.send({ type: 'response.create', model: 'default', input: 'one' })
    await expect.poll(ended).toHaveLength(2)
    expect(new Set(ended().map(({ response }) => response.id)).size).toBe(2)
  })
})

describe('what is rejected over a WebSocket', () => {
  it.each([
    ['JSON that is none', '{', 400, 'invalid_json'],
    ['no object', '[]', 400, 'invalid_request'],
    ['an unknown message', { type: 'response.steer', previous_response_id: 'x', input: 'y' }, 400, 'param_not_supported'],
    ['the background', { type: 'response.create', input: 'x', background: true }, 400, 'param_not_supported'],
    ['an unknown model', { type: 'response.create', model: 'none', input: 'x' }, 404, 'model_not_found'],
    ['no input', { type: 'response.create', model: 'default' }, 400, 'invalid_request'],
    ['an unknown response', { type: 'response.create', input: 'x', previous_response_id: 'resp_a.b' }, 404, 'parent_not_found'],
  ])('%s, and the next is answered', async (_what, message, status, code) => {
    const { open } = await start()
    const { socket, errors, ended } = open()
    const named = typeof message === 'string' ? message : JSON.stringify({ ...message, stream_id: 's' })
    socket.sendRaw(named)
    socket.send({ type: 'response.create', model: 'default', input: 'x', stream_id: 's' })
    await expect.poll(ended).toHaveLength(1)
    const stream = typeof message === 'string' ? {} : { stream_id: 's' }
    expect(errors).toMatchObject([{ type: 'error', status, error: { code, message: expect.any(String) }, ...stream }])
  })

  it('more requests than may wait, of which none is started', async () => {
    const { open, url } = await start()
    const { socket, errors, events } = open()
    socket.send({ type: 'response.create', model: 'sim:hang?after=1&tps=0', input: 'x' })
    for (let count = 0; count < 17; count++) socket.send({ type: 'response.create', model: 'default', input: 'y' })
    await expect.poll(() => errors.length).toBe(1)
    expect(errors).toMatchObject([{ status: 429, error: { code: 'too_many_attachments' } }])
    expect(events.filter(({ type }) => type === 'response.created')).toHaveLength(1)
    expect(await (await fetch(`${url}/api/sessions`)).json()).toMatchObject({ sessions: { length: 1 } })
  })

  it('a client without credentials, and the response of another user', async () => {
    const access = { access: { tokens: { secret } } }
    const ann = await start(access, await sign({ sub: 'ann' }))
    const first = await ann.client.responses.create({ model: 'default', input: 'x' })
    const bob = open(new OpenAI({ baseURL: `${ann.url}/v1`, apiKey: await sign({ sub: 'bob' }) }))
    bob.socket.send({ type: 'response.create', model: 'default', input: 'x', previous_response_id: first.id })
    await expect.poll(() => bob.errors).toMatchObject([{ status: 404, error: { code: 'session_not_found' } }])
    const stranger = open(new OpenAI({ baseURL: `${ann.url}/v1`, apiKey: 'none' }))
    await expect.poll(() => stranger.errors).not.toHaveLength(0)
    expect(stranger.events).toEqual([])
  })
})
