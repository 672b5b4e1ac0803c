/**
 * How an answer ends, by what a provider really sent. The packages of LangChain hide it, each in its way, so each case is
 * run through those that speak OpenAI's protocol, by typed events and by chunks, against a server that sends those bytes.
 */
import { ChatDeepSeek } from '@langchain/deepseek'
import { ChatGroq } from '@langchain/groq'
import { ChatMistralAI } from '@langchain/mistralai'
import { ChatOpenAI } from '@langchain/openai'
import { ChatXAI } from '@langchain/xai'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Step, startFakeOpenAi } from '../../../test/support/fake-openai.ts'
import type { Model, ModelPart } from '../model.ts'
import { fromLangChain, type LangChainModel } from './index.ts'

const settings = { model: 'm', apiKey: 'k', maxRetries: 0 }
const packages: Record<string, (url: string, fields: object) => object> = {
  openai: (baseURL, fields) => new ChatOpenAI({ ...settings, ...fields, configuration: { baseURL } }),
  deepseek: (baseURL, fields) => new ChatDeepSeek({ ...settings, ...fields, configuration: { baseURL } }),
  xai: (baseURL, fields) => new ChatXAI({ ...settings, ...fields, baseURL }),
  groq: (url, fields) => new ChatGroq({ ...settings, ...fields, baseUrl: url.slice(0, -'/v1'.length) }),
  mistralai: (url, fields) => new ChatMistralAI({ ...settings, ...fields, serverURL: url.slice(0, -'/v1'.length) }),
}
const ways: Record<string, object> = { events: {}, chunks: { callbacks: [{ handleLLMNewToken() {} }] } }
const all = Object.keys(packages).flatMap((name) => Object.keys(ways).map((way) => [name, way] as const))

interface Answer {
  readonly text: string
  readonly reasoning: string
  readonly finishReason?: string
  readonly error?: unknown
}

async function read(model: Model, signal = new AbortController().signal): Promise<Answer> {
  const parts: ModelPart[] = []
  let error: unknown
  try {
    for await (const part of model.stream({ messages: [{ role: 'user', text: 'x' }], signal })) parts.push(part)
  } catch (thrown) {
    error = thrown
  }
  const of = (key: string) => parts.flatMap((part) => (typeof part === 'object' && key in part ? [Reflect.get(part, key)] : []))
  return {
    text: parts.filter((part) => typeof part === 'string').join(''),
    reasoning: of('reasoning').join(''),
    ...(of('finishReason').length > 0 && { finishReason: of('finishReason').join() }),
    ...(error !== undefined && { error }),
  }
}

async function answer(name: string, way: string, script: readonly Step[]): Promise<Answer> {
  const { url } = await startFakeOpenAi({ script })
  return read(fromLangChain((packages[name] as (typeof packages)[string])(url, ways[way] as object) as LangChainModel))
}

const say = (...words: string[]): Step[] => words.map((content) => ({ delta: { content } }))
const raw = (value: unknown): Step => ({ raw: `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n` })
const half = say('half ', 'an ')
const base = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm' }
const stop = { ...base, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
const empty = (content: string): Step => raw({ ...base, choices: [{ index: 0, delta: { content }, finish_reason: '' }] })

describe.each(all)('@langchain/%s by %s', (name, way) => {
  it.each<[string, Step[], string]>([
    ['just stops', [...half, 'end'], 'ended its stream in the middle of an answer'],
    ['loses its connection', [...half, 'cut'], 'The connection to the provider of m broke'],
    ['is cut within an event', [...half, { raw: 'data: {"choices":[{"del' }, 'end'], 'in the middle of an answer'],
    ['says "" where a reason would be, and stops', [empty('half '), empty('an '), 'end'], 'in the middle of an answer'],
    ['gives a reason that is a failure', [...half, { finish: 'insufficient_system_resource' }], '"insufficient_system_resource"'],
    ['sends what is not JSON', [...half, raw('{"choices":[{"delta":'), { finish: 'stop' }], 'that is not JSON'],
    ['sends a number', [...half, raw('42')], 'that is not JSON'],
    ['tells an error', [...half, raw({ error: { message: 'secret', type: 'server_melted' } })], 'the error "server_melted"'],
    ['tells an error with a status', [...half, raw({ error: { message: 'secret', code: 503 } })], 'status 503'],
  ])('fails when the stream %s, keeps what came, and says why', async (_what, script, message) => {
    const stderr = vi.spyOn(console, 'error')
    const { error, ...rest } = await answer(name, way, script)
    expect(error).toMatchObject({ code: 'model_failed', retryable: true, message: expect.stringContaining(message) })
    expect(rest).toEqual({ text: 'half an ', reasoning: '' })
    expect((error as Error).message).not.toMatch(/secret/)
    expect(stderr).not.toHaveBeenCalled()
  })

  it.each<[string, unknown, string]>([
    ['a rate limit, as a number', { error: { code: 429, message: 'slow down' } }, 'model_rate_limited'],
    ['a rate limit, as a text', { error: { code: '429', message: 'slow down' } }, 'model_rate_limited'],
    ['a rate limit, as a word', { error: { type: 'rate_limit_error', message: 'slow down' } }, 'model_rate_limited'],
    ['a rate limit, in nothing', { code: 429, message: 'slow down' }, 'model_rate_limited'],
    [
      'a rate limit, beside the answer',
      { choices: [{ delta: {}, error: { code: 429 }, finish_reason: 'error' }] },
      'model_rate_limited',
    ],
    ['a key that is wrong', { error: { code: 401, message: 'no' } }, 'model_unauthorized'],
    ['a key that is not allowed', { error: { code: 403, message: 'no' } }, 'model_unauthorized'],
    ['a spent account', { error: { code: 429, type: 'insufficient_quota', message: 'no' } }, 'model_rejected'],
  ])('reads in a stream that began with 200 %s', async (_what, body, code) => {
    expect(await answer(name, way, [...half, raw(body)])).toMatchObject({ text: 'half an ', error: { code } })
  })

  it.each<[string, string, string]>([
    ['a web page', '<!doctype html><title>Login</title>', 'answered with a web page'],
    ['other JSON', '{"hello":"world"}', 'JSON that is no answer'],
    ['nothing', '', 'without an answer'],
    ['an error', '{"error":{"message":"secret","code":503}}', 'status 503'],
  ])('says that it got %s instead of a stream', async (_what, body, message) => {
    const { error } = await answer(name, way, [{ raw: body }, 'end'])
    expect(error).toMatchObject({ code: 'model_failed', message: expect.stringContaining(message) })
  })

  it('takes an answer that comes as one JSON body', async () => {
    const body = { ...base, choices: [{ index: 0, message: { role: 'assistant', content: 'whole' }, finish_reason: 'stop' }] }
    const script: Step[] = [{ raw: JSON.stringify(body, undefined, 2) }, 'end']
    expect(await answer(name, way, script)).toEqual({ text: 'whole', reasoning: '', finishReason: 'stop' })
  })

  it.each<[string, Step[], string]>([
    ['a space behind [DONE]', [...say('whole'), { finish: 'stop' }, raw('[DONE] ')], 'stop'],
    ['no [DONE]', [...say('whole'), { finish: 'length' }, 'end'], 'length'],
    ['no blank line at the end', [...say('whole'), { raw: `data: ${JSON.stringify(stop)}` }, 'end'], 'stop'],
    ['[DONE] and no finish reason', say('whole'), 'other'],
    ['"" where a reason would be, and [DONE]', [empty('whole')], 'other'],
    ['a word that nobody knows', [...say('whole'), { finish: 'pause_turn' }], 'other'],
    ['an error after its finish reason', [...say('whole'), { finish: 'stop' }, raw({ error: { code: 500 } })], 'stop'],
    ['garbage after its finish reason', [...say('whole'), { finish: 'stop' }, raw('{"usage":')], 'stop'],
    ['a cut after its finish reason', [...say('whole'), { finish: 'stop' }, 'cut'], 'stop'],
    ['events that keep it alive', [raw(''), { raw: 'event: ping\ndata: x\n\n' }, ...say('whole'), { finish: 'stop' }], 'stop'],
    [
      'a stream that stays open after its finish reason',
      [...say('whole'), { finish: 'stop' }, { raw: ': on\n\n' }, 'hang'],
      'stop',
    ],
  ])('completes with %s', async (_what, script, finishReason) => {
    const stderr = vi.spyOn(console, 'error')
    expect(await answer(name, way, script)).toEqual({ text: 'whole', reasoning: '', finishReason })
    expect(stderr).not.toHaveBeenCalled()
  })

  it('reads content that is a list of parts', async () => {
    const list = (...content: object[]): Step => ({ delta: { content } })
    const script = [
      list({ type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] }),
      list({ type: 'text', text: 'Hello ' }, { type: 'text', text: 'wor' }),
      list({ type: 'text', text: 'ld' }),
      { finish: 'stop' },
    ]
    // Groq's package puts no reasoning into chunks, whatever its provider calls it.
    const reasoning = name === 'groq' && way === 'chunks' ? '' : 'Hm.'
    expect(await answer(name, way, script)).toEqual({ text: 'Hello world', reasoning, finishReason: 'stop' })
  })

  it('closes the request when it is left, also while it waits', async () => {
    const provider = await startFakeOpenAi({ script: [...say('begun'), 'hang'] })
    const model = fromLangChain(
      (packages[name] as (typeof packages)[string])(provider.url, ways[way] as object) as LangChainModel,
    )
    const parts = model.stream({ messages: [{ role: 'user', text: 'x' }], signal: new AbortController().signal })
    const reading = parts[Symbol.asyncIterator]()
    await reading.next()
    const next = reading.next()
    await reading.return?.()
    expect((await next).done).toBe(true)
    await provider.requests[0]?.closed
  })
})

describe("OpenAI's Responses", () => {
  const event = (type: string, more: object = {}): Step => ({
    raw: `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`,
  })
  const begun = [
    event('response.created', { response: { id: 'r', status: 'in_progress', output: [], model: 'm', error: null } }),
    event('response.output_text.delta', { output_index: 0, item_id: 'i', content_index: 0, delta: 'half' }),
  ]
  const ended = (status: string, more: object) =>
    event(`response.${status}`, { response: { id: 'r', status, output: [], ...more } })

  it.each<[string, Step[], string, string]>([
    ['just stop', ['end'], 'model_failed', 'in the middle of an answer'],
    [
      'fail',
      [ended('failed', { error: { code: 'server_error', message: 'secret' } })],
      'model_failed',
      'the error "server_error"',
    ],
    ['are limited', [event('error', { code: 'rate_limit_exceeded', message: 'secret' })], 'model_rate_limited', 'limits'],
  ])('are not whole when they %s', async (_what, script, code, message) => {
    for (const way of Object.values(ways)) {
      const { url } = await startFakeOpenAi({ script: [...begun, ...script] })
      const chatModel = new ChatOpenAI({ ...settings, ...way, useResponsesApi: true, configuration: { baseURL: url } })
      const { text, error } = await read(fromLangChain(chatModel))
      expect([text, error]).toEqual(['half', expect.objectContaining({ code, message: expect.stringContaining(message) })])
    }
  })
})

it('waits for more of a provider that gives a reason in each chunk', async () => {
  const gate = Promise.withResolvers<void>()
  const piece = (content: string): Step => raw({ ...base, choices: [{ index: 0, delta: { content }, finish_reason: 'stop' }] })
  const { url } = await startFakeOpenAi({ script: [piece('a '), piece('b '), { gate: gate.promise }, piece('c')] })
  const chatModel = new ChatOpenAI({ ...settings, configuration: { baseURL: url } })
  const answering = read(fromLangChain(chatModel))
  // Longer than it would wait for one that has said all.
  setTimeout(gate.resolve, 1300)
  expect((await answering).text).toBe('a b c')
})

it('keeps apart two answers of a model that asks one after the other', async () => {
  const gate = Promise.withResolvers<void>()
  const { url, requests } = await startFakeOpenAi({ script: [...say('a'), { gate: gate.promise }, 'end'] })
  const chatModel = new ChatOpenAI({ ...settings, maxConcurrency: 1, configuration: { baseURL: url } })
  const answers = Promise.all([read(fromLangChain(chatModel)), read(fromLangChain(chatModel))])
  await expect.poll(() => requests).toHaveLength(2)
  gate.resolve()
  for (const each of await answers) expect(each).toMatchObject({ text: 'a', error: { code: 'model_failed' } })
})

it("leaves a host's own use of its model as it was", async () => {
  const { url } = await startFakeOpenAi({ script: [...say('half'), 'end'] })
  const fetched = vi.fn(fetch)
  const chatModel = new ChatOpenAI({ ...settings, configuration: { baseURL: url, fetch: fetched } })
  expect((await read(fromLangChain(chatModel))).error).toBeDefined()
  let text = ''
  for await (const chunk of await chatModel.stream('x')) text += chunk.text
  expect(text).toBe('half')
  expect(fetched).toHaveBeenCalledTimes(2)
})

it.each([
  ['a line end', 'sk-SECRET\nsk-OTHER'],
  ['typographic quotes', '“sk-SECRET”'],
])('says that the key has to be checked when it has %s, and does not say the key', async (_what, apiKey) => {
  const { url } = await startFakeOpenAi({})
  onTestFinished(() => void vi.restoreAllMocks())
  for (const make of Object.values(packages)) {
    const { error } = await read(fromLangChain(make(url, { apiKey }) as LangChainModel))
    expect(error).toMatchObject({ code: 'model_unauthorized', retryable: false })
    expect(String(error)).not.toMatch(/SECRET|OTHER/)
  }
})
