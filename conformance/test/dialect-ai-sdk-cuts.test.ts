/** The AI SDK's workflow transport, which counts frames, cut after every one of them: over every engine it misses and repeats none. */
import { WorkflowChatTransport } from '@ai-sdk/workflow/client'
import type { UIMessage, UIMessageChunk } from 'ai'
import fc from 'fast-check'
import { createMillrace, type Engine, memoryEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startRedis } from '../src/index.ts'
import { engines } from './support/engines.ts'
import { talker, talkerTools } from './support/talker.ts'

async function start(engine: Engine) {
  const millrace = createMillrace({
    engine,
    models: [talker('two')],
    model: 'talker',
    tools: talkerTools,
    dialects: ['ai-sdk'],
    onError: () => {},
  })
  onTestFinished(() => millrace.close())
  return millrace.listen({ port: 0 })
}

/** Ends each response after its number of frames. With an error, as of a network, a reader may lose frames before it too. */
function cutting(frames: (response: number) => number | undefined, error?: Error) {
  const requests: string[] = []
  const fetchCut: typeof fetch = async (address, init) => {
    const max = frames(requests.length)
    const request = new Request(address, init)
    requests.push(`${request.method} ${new URL(request.url).search}`)
    const response = await fetch(request)
    if (max === undefined || response.body === null) return response
    return new Response(response.body.pipeThrough(cutAfter(max, error)), { status: response.status, headers: response.headers })
  }
  return { requests, fetch: fetchCut }
}

function cutAfter(max: number, error?: Error): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let text = ''
  let frames = 0
  return new TransformStream({
    transform(bytes, controller) {
      text += Buffer.from(bytes).toString('latin1')
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const frame = text.slice(0, end + 2)
        text = text.slice(end + 2)
        if (frame.startsWith('data:') && frames++ === max) return error ? controller.error(error) : controller.terminate()
        controller.enqueue(new Uint8Array(Buffer.from(frame, 'latin1')))
      }
    },
  })
}

const question = (id: string, text = 'where?'): UIMessage => ({ id, role: 'user', parts: [{ type: 'text', text }] })

async function collect(stream: ReadableStream<UIMessageChunk> | null): Promise<UIMessageChunk[]> {
  const chunks: UIMessageChunk[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return chunks
}

async function ask(url: string, message: UIMessage, cut = cutting(() => undefined)) {
  const transport = new WorkflowChatTransport<UIMessage>({ api: `${url}/ai/chat`, fetch: cut.fetch })
  const body = { id: 'chat' }
  const chunks = collect(await transport.sendMessages({ trigger: 'submit-message', chatId: 'chat', messages: [message], body }))
  return { chunks: await chunks, requests: cut.requests }
}

async function framesOf(response: Response): Promise<unknown[]> {
  const frames = (await response.text()).split('\n\n').filter((frame) => frame.startsWith('data:'))
  return frames.map((frame) => JSON.parse(frame.slice(5)) as unknown)
}

const textOf = (chunks: readonly UIMessageChunk[]) =>
  chunks.map((chunk) => (chunk.type === 'text-delta' ? chunk.delta : '')).join('')

// The transport prints each cut.
beforeEach(() => void vi.spyOn(console, 'error').mockImplementation(() => {}))

describe.each(engines)('over %s', (_, open) => {
  it('has the same frames, cut after any of them, and asks once for each cut', async () => {
    const { url } = await start(await open())
    const whole = (await ask(url, question('m'))).chunks
    expect(whole.at(-1)).toMatchObject({ type: 'finish', messageMetadata: { status: 'completed' } })
    expect(textOf(whole)).toBe('one twoyou are in Bern')
    for (let frames = 0; frames < whole.length; frames++) {
      const cut = cutting((response) => (response === 0 ? frames : undefined))
      const { chunks, requests } = await ask(url, question('m'), cut)
      expect(chunks).toEqual(whole)
      expect(requests).toEqual(['POST ', `GET ?startIndex=${frames}`])
      const failing = cutting((response) => (response === 0 ? frames : undefined), new TypeError('network error'))
      const failed = await ask(url, question('m'), failing)
      expect({ chunks: failed.chunks, requests: failed.requests.length }).toEqual({ chunks: whole, requests: 2 })
    }
    const { chunks, requests } = await ask(
      url,
      question('m'),
      cutting(() => 1),
    )
    expect(chunks).toEqual(whole)
    expect(requests.length).toBe(whole.length)
  })

  it('has the last frames for an index below 0, and their place', async () => {
    const { url } = await start(await open())
    const whole = (await ask(url, question('m'))).chunks
    for (const last of [1, 4, whole.length, whole.length + 5]) {
      const response = await fetch(`${url}/ai/chat/chat/stream?startIndex=${-last}`)
      expect(await framesOf(response)).toEqual(whole.slice(-last))
      expect(response.headers.get('x-workflow-stream-tail-index')).toBe(`${whole.length - 1}`)
    }
    const ahead = await fetch(`${url}/ai/chat/chat/stream?startIndex=${whole.length + 1}`)
    expect(ahead.status).toBe(409)
  })

  it('is whole however a run in progress is cut', async () => {
    const { url } = await start(await open())
    let asked = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 8 }), async (cuts) => {
        const cut = cutting((response) => cuts[response])
        const { chunks, requests } = await ask(url, question(`m${asked++}`), cut)
        expect(textOf(chunks)).toBe('one twoyou are in Bern')
        expect(chunks.filter(({ type }) => type === 'start' || type === 'finish').length).toBe(2)
        expect(requests.length).toBeLessThanOrEqual(cuts.length + 1)
      }),
      { numRuns: 12 },
    )
  })
})

it('is read, asked again and stopped on another server of the engine', async () => {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const [one, other] = [await start(redisEngine({ url: redis.url })), await start(redisEngine({ url: redis.url }))]
  const body = { id: 'chat', messages: [question('m')], model: 'sim:count?n=10000&tps=50' }
  const post = (url: string) => fetch(`${url}/ai/chat`, { method: 'POST', body: JSON.stringify(body) })
  const readers = [await post(one.url), await post(other.url), await fetch(`${other.url}/ai/chat/chat/stream?startIndex=0`)]
  const reading = Promise.all(readers.map(framesOf))
  expect((await fetch(`${other.url}/ai/chat/chat/stop`, { method: 'POST' })).status).toBe(204)
  const [whole = [], ...others] = await reading
  expect(whole.slice(-2)).toMatchObject([{ type: 'abort' }, { type: 'finish', finishReason: 'interrupted' }])
  expect(others).toEqual([whole, whole])
})

it('has the same numbers for a reader that is far behind', async () => {
  const { url } = await start(memoryEngine())
  const transport = new WorkflowChatTransport<UIMessage>({ api: `${url}/ai/chat` })
  const body = { id: 'chat', model: 'sim:count?n=500&tps=0' }
  const messages = [question('m')]
  const whole = await collect(await transport.sendMessages({ trigger: 'submit-message', chatId: 'chat', messages, body }))
  expect(whole.length).toBeGreaterThan(500)
  for (const startIndex of [0, 1, 250, whole.length - 1])
    expect(await framesOf(await fetch(`${url}/ai/chat/chat/stream?startIndex=${startIndex}`))).toEqual(whole.slice(startIndex))
})

it('ends after a failure too, and reads an answer that has ended by the id of its chat', async () => {
  const { url } = await start(memoryEngine())
  const { chunks, requests } = await ask(url, question('m', 'fail'))
  expect(chunks.slice(-2).map(({ type }) => type)).toEqual(['error', 'finish'])
  expect(requests).toEqual(['POST '])
  const transport = new WorkflowChatTransport<UIMessage>({ api: `${url}/ai/chat` })
  expect(await collect(await transport.reconnectToStream({ chatId: 'chat' }))).toEqual(chunks)
})
