/**
 * OpenAI's answers, cut after every frame, over every engine: chat completions go on by the id of a frame, which their clients
 * do not read, and responses by OpenAI's own client.
 */
import fc from 'fast-check'
import { createMillrace, type Engine, type Model, type ModelPart, memoryEngine, sqliteEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'
import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { makeFolder, startRedis } from '../src/index.ts'

const model: Model = {
  name: 'talker',
  async *stream({ messages }): AsyncGenerator<ModelPart> {
    if (messages.at(-1)?.role !== 'tool') {
      yield { reasoning: 'so ' }
      yield 'one '
      await new Promise(setImmediate)
      yield 'two '
      yield { toolCall: { id: 'c', name: 'place', arguments: {} } }
      return
    }
    for (const word of ['你', '在 ', 'Bern. ']) {
      await new Promise(setImmediate)
      yield word
    }
    yield { toolCallStart: { id: 'd', name: 'show' } }
    yield { toolCallDelta: { id: 'd', arguments: '{"a"' } }
    yield { toolCallDelta: { id: 'd', arguments: ':1}' } }
    yield { toolCall: { id: 'd', name: 'show', arguments: { a: 1 } } }
  },
}

const said = 'one two 你在 Bern. '
const tools = { place: { description: 'Says where the user is.', input: z.object({}), execute: () => 'Bern' } }
const show = { name: 'show', description: 'Shows.', parameters: { type: 'object' } }

async function start(engine: Engine) {
  const millrace = createMillrace({ engine, models: [model], model: 'talker', tools, dialects: ['openai'], onError: () => {} })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  return { millrace, url, client: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' }) }
}

/** Two servers of one engine where there can be two, else the same one twice. */
const engines: readonly [string, () => Promise<readonly Engine[]>][] = [
  ['memory', async () => [memoryEngine()]],
  ['sqlite', async () => [sqliteEngine({ folder: makeFolder() })]],
  ['redis', openRedis],
]

async function openRedis(): Promise<readonly Engine[]> {
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  return [redisEngine({ url: redis.url }), redisEngine({ url: redis.url })]
}

async function startAll(open: () => Promise<readonly Engine[]>) {
  const servers = await Promise.all((await open()).map(start))
  return { first: servers[0] as (typeof servers)[0], other: servers.at(-1) as (typeof servers)[0] }
}

interface ChatFrame {
  readonly id: string
  readonly data: string
}

const question = {
  model: 'talker',
  stream: true,
  n: 2,
  stream_options: { include_usage: true },
  messages: [{ role: 'user', content: 'where?' }],
  tools: [{ type: 'function', function: show }],
}

/** Reads a stream over a socket, and leaves after a number of frames. */
async function readChat(url: string, lastEventId?: string, max = Number.POSITIVE_INFINITY): Promise<ChatFrame[]> {
  const headers = { 'content-type': 'application/json', ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) }
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify(question) })
  expect(response.status).toBe(200)
  const frames: ChatFrame[] = []
  let text = ''
  for await (const piece of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
    text += piece
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const frame = text.slice(0, end)
      text = text.slice(end + 2)
      const data = /^data: ?(.*)$/m.exec(frame)?.[1]
      if (data !== undefined) frames.push({ id: /^id: ?(.*)$/m.exec(frame)?.[1] ?? '', data })
      if (frames.length === max) return frames
    }
  }
  return frames
}

/** What a client has of the chunks, however they were divided. */
function foldChat(frames: readonly ChatFrame[]) {
  const choices = [0, 1].map(() => ({ roles: 0, text: '', reasoning: '', calls: '', given: '', ends: [] as string[] }))
  const usages: object[] = []
  for (const { data } of frames) {
    if (data === '[DONE]') continue
    const chunk = JSON.parse(data)
    if (chunk.usage !== null) usages.push(chunk.usage)
    for (const { index, delta, finish_reason: reason } of chunk.choices) {
      const choice = choices[index] as (typeof choices)[number]
      if (delta.role) choice.roles++
      choice.text += delta.content ?? ''
      choice.reasoning += delta.reasoning_content ?? ''
      for (const call of delta.tool_calls ?? []) {
        // Ids differ within a run.
        choice.calls += (call.id ?? '').replace('#2', '')
        choice.given += call.function.arguments
      }
      if (reason !== null) choice.ends.push(reason)
    }
  }
  return { choices, usages, done: frames.filter(({ data }) => data === '[DONE]').length, last: frames.at(-1)?.data }
}

const choice = { roles: 1, text: said, reasoning: 'so ', calls: 'd', given: '{"a":1}', ends: ['tool_calls'] }
const whole = {
  choices: [choice, choice],
  usages: [expect.objectContaining({ completion_tokens: expect.any(Number) })],
  done: 1,
  last: '[DONE]',
}

describe.each(engines)('chat completions over %s', (_, open) => {
  it('are whole, cut after any frame, also on another server', async () => {
    const { first, other } = await startAll(open)
    const frames = await readChat(first.url)
    expect(foldChat(frames)).toEqual(whole)
    expect(new Set(frames.map(({ id }) => id)).size).toBe(frames.length)
    for (const [index, { id }] of frames.entries()) {
      const rest = await readChat(index % 2 === 0 ? first.url : other.url, id)
      expect(foldChat([...frames.slice(0, index + 1), ...rest])).toEqual(whole)
    }
  })

  it('are whole however a run in progress is cut', async () => {
    const { first, other } = await startAll(open)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 6 }), async (cuts) => {
        const frames: ChatFrame[] = []
        for (const [index, max] of [...cuts, Number.POSITIVE_INFINITY].entries())
          frames.push(...(await readChat(index % 2 === 0 ? first.url : other.url, frames.at(-1)?.id, max)))
        expect(foldChat(frames)).toEqual(whole)
      }),
      { numRuns: 12 },
    )
  })
})

const request = { model: 'talker', input: 'where?', tools: [{ type: 'function' as const, strict: false, ...show }] }

async function take<T>(stream: AsyncIterable<T>, max = Number.POSITIVE_INFINITY): Promise<T[]> {
  const all: T[] = []
  // Leaving the loop cuts the connection.
  if (max > 0) for await (const each of stream) if (all.push(each) === max) break
  return all
}

const idOf = (events: readonly ResponseStreamEvent[]) => (events[0]?.type === 'response.created' ? events[0].response.id : '')
const numberOf = (events: readonly ResponseStreamEvent[]) => events.at(-1)?.sequence_number ?? 0

describe.each(engines)('responses over %s', (_, open) => {
  it('have the same events, cut after any of them, also on another server', async () => {
    const { first, other } = await startAll(open)
    const count = (await take(await first.client.responses.create({ ...request, stream: true }))).length
    for (let max = 1; max <= count; max++) {
      const begun = await take(await first.client.responses.create({ ...request, stream: true }), max)
      const { client } = max % 2 === 0 ? first : other
      const after = numberOf(begun)
      const rest = await take(await client.responses.retrieve(idOf(begun), { stream: true, starting_after: after }))
      const all = await take(await client.responses.retrieve(idOf(begun), { stream: true }))
      expect([...begun, ...rest]).toEqual(all)
      expect(all.length).toBe(count)
      const helper = client.responses.stream({ response_id: idOf(begun), starting_after: after })
      const shown = await take(helper as AsyncIterable<ResponseStreamEvent>)
      expect(shown.map((event) => event.sequence_number)).toEqual(rest.map((event) => event.sequence_number))
      const final = await helper.finalResponse()
      expect(final.output_text).toBe(said)
      expect(final.output.at(-1)).toMatchObject({ type: 'function_call', arguments: '{"a":1}' })
    }
  })

  it('are whole however a run in progress is cut', async () => {
    const { first, other } = await startAll(open)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), async (cuts) => {
        const events = await take(await first.client.responses.create({ ...request, stream: true }), cuts[0])
        for (const [index, max] of [...cuts.slice(1), undefined].entries()) {
          const { client } = index % 2 === 0 ? other : first
          const query = { stream: true as const, starting_after: numberOf(events) }
          events.push(...(await take(await client.responses.retrieve(idOf(events), query), max)))
        }
        expect(events).toEqual(await take(await other.client.responses.retrieve(idOf(events), { stream: true })))
        expect(events.map((event) => event.sequence_number)).toEqual(events.map((_event, index) => index))
        expect(events.at(-1)?.type).toBe('response.completed')
      }),
      { numRuns: 12 },
    )
  })
})

it('another server of the engine cancels a response, follows it, and knows a request by its key', async () => {
  const { first, other } = await startAll(openRedis)
  const begun = await first.client.responses.create({ ...request, model: 'sim:hang?after=2&tps=0', background: true })
  // Up to the second token, which is the sixth event.
  await take(await other.client.responses.retrieve(begun.id, { stream: true }), 6)
  expect((await other.client.responses.retrieve(begun.id)).status).toBe('in_progress')
  const output = [{ status: 'incomplete', content: [{ text: '1 2 ' }] }]
  expect(await other.client.responses.cancel(begun.id)).toMatchObject({ status: 'cancelled', output })
  expect((await first.client.responses.retrieve(begun.id)).status).toBe('cancelled')
  const next = await other.client.responses.create({ input: 'x', model: 'sim:count?n=1&tps=0', previous_response_id: begun.id })
  expect(next.previous_response_id).toBe(begun.id)
  const headers = { 'idempotency-key': 'one' }
  const ids = [first, other].map(({ client }) => client.responses.create(request, { headers }))
  const [one, two] = await Promise.all(ids)
  expect(one?.id).toBe(two?.id)
})

it('an answer can be read, followed and resumed after a restart', async () => {
  const folder = makeFolder()
  const one = await start(sqliteEngine({ folder }))
  const response = await one.client.responses.create(request)
  const events = await take(await one.client.responses.retrieve(response.id, { stream: true }))
  const frames = await readChat(one.url)
  await one.millrace.close()
  const two = await start(sqliteEngine({ folder }))
  expect(await two.client.responses.retrieve(response.id)).toEqual(response)
  expect(await take(await two.client.responses.retrieve(response.id, { stream: true, starting_after: 7 }))).toEqual(
    events.slice(8),
  )
  const result = { type: 'function_call_output' as const, call_id: 'd', output: 'shown' }
  const next = await two.client.responses.create({ ...request, input: [result], previous_response_id: response.id })
  expect(next.output_text).toBe('你在 Bern. ')
  const rest = await readChat(two.url, frames[3]?.id)
  expect(foldChat([...frames.slice(0, 4), ...rest])).toEqual(whole)
})
