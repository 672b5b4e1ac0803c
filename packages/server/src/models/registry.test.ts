import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MillraceError } from '@millrace/protocol'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startFakeOpenAi } from '../../test/support/fake-openai.ts'
import { resolveAuto } from './auto.ts'
import { openLangChain, providers } from './langchain/provider.ts'
import type { Model, ModelPart } from './model.ts'
import { createModels } from './registry.ts'

const model = (name: string): Model => ({ name, async *stream() {} })
const open = async (name: string) => model(name)
const everything = () => true
const nothing = () => false

async function say(asked: Model): Promise<ModelPart[]> {
  const parts: ModelPart[] = []
  const { signal } = new AbortController()
  for await (const part of asked.stream({ messages: [{ role: 'user', text: 'x' }], signal })) parts.push(part)
  return parts
}

/** A server that begins an answer, or not even that, and never ends it. */
async function startEndless(begin: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_request, response) => begin(response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('auto', () => {
  it('takes the first provider whose key and package are there', async () => {
    const env = { ANTHROPIC_API_KEY: 'k', GROQ_API_KEY: 'k' }
    const found = await resolveAuto({ env, open, servers: [], isInstalled: everything })
    expect([found.model.name, found.reason]).toEqual(['anthropic:claude-sonnet-5', 'ANTHROPIC_API_KEY is set'])
    const isInstalled = (name: string) => name !== '@langchain/anthropic'
    expect((await resolveAuto({ env, open, servers: [], isInstalled })).model.name).toBe('groq:openai/gpt-oss-120b')
  })

  it('says what is missing when a key is there and its package is not', async () => {
    const found = await resolveAuto({ env: { OPENAI_API_KEY: 'k' }, open, servers: [], isInstalled: nothing })
    expect([found.model.name, found.reason]).toEqual([
      'builtin:guide',
      'OPENAI_API_KEY is set, but something is missing: npm install langchain @langchain/core @langchain/openai',
    ])
  })

  it('goes on to the next when one cannot be opened', async () => {
    const env = { OPENAI_API_KEY: 'k', DEEPSEEK_API_KEY: 'k' }
    const openSome = async (name: string) => {
      if (name.startsWith('openai:')) throw new MillraceError('model_unavailable', { message: 'it is broken.' })
      return model(name)
    }
    const options = { open: openSome, servers: [], isInstalled: everything }
    expect((await resolveAuto({ ...options, env })).model.name).toBe('deepseek:deepseek-v4-flash')
    const { reason } = await resolveAuto({ ...options, env: { OPENAI_API_KEY: 'k' } })
    expect(reason).toBe('OPENAI_API_KEY is set, but it is broken.')
  })

  it('says what is missing for a local server that answers', async () => {
    const { url } = await startFakeOpenAi({})
    const servers = [{ name: 'Ollama', url: url.slice(0, -3) }]
    const found = await resolveAuto({ env: {}, open, servers, isInstalled: nothing, answerMsMax: 20_000 })
    expect(found.model.name).toBe('builtin:guide')
    expect(found.reason).toMatch(/^Ollama answers at .*: npm install @langchain\/core @langchain\/openai$/)
  })

  it('takes a local server that answers, its first model that can chat, and streams from it', async () => {
    const models = {
      object: 'list',
      data: ['nomic-embed-text', 'all-minilm:latest', 'bge-m3', 'llama', 'other'].map((id) => ({ id })),
    }
    const { url, requests } = await startFakeOpenAi({ models, script: [{ delta: { content: 'local' } }, { finish: 'stop' }] })
    const servers = [
      { name: 'Nobody', url: 'http://127.0.0.1:1' },
      { name: 'LM Studio', url: url.slice(0, -3) },
    ]
    const found = await resolveAuto({ env: {}, open, servers, answerMsMax: 20_000 })
    expect([found.model.name, found.reason]).toEqual(['lm-studio:llama', `LM Studio answers at ${url.slice(0, -3)}`])
    expect(await say(found.model)).toEqual(['local', { finishReason: 'stop' }])
    expect(requests[0]?.body.model).toBe('llama')
  })

  it.each([
    ['begins no answer', () => {}],
    ['ends no answer', (response: ServerResponse) => void response.write('{"object":"list",')],
  ])('does not wait for a server that %s', async (_what, begin) => {
    const servers = [{ name: 'vLLM', url: await startEndless(begin) }]
    expect((await resolveAuto({ env: {}, open, servers })).model.name).toBe('builtin:guide')
  })

  it.each([
    ['a page', '<!doctype html>'],
    ['other JSON', { models: ['x'] }],
    ['another API’s list', { data: [{ id: 'x', type: 'articles' }] }],
    ['an empty list', { object: 'list', data: [] }],
    ['models that cannot chat', { object: 'list', data: [{ id: 'mxbai-embed-large' }, { id: 'whisper-1' }] }],
    ['a name that could not be an event’s', { object: 'list', data: [{ id: 'a\nb' }] }],
    ['entries that are none', { object: 'list', data: [null, { id: 7 }] }],
  ])('does not take %s for a model server', async (_what, models) => {
    const { url } = await startFakeOpenAi({ models })
    const found = await resolveAuto({ env: {}, open, servers: [{ name: 'Ollama', url: url.slice(0, -3) }] })
    expect([found.model.name, found.reason]).toEqual(['builtin:guide', 'no key in the environment and no local model server'])
  })
})

describe('a model by the name of its provider', () => {
  it.each([
    ['openai:gpt-5', {}, everything, 'model_unavailable', 'set OPENAI_API_KEY'],
    [
      'google-genai:gemini',
      { GOOGLE_API_KEY: 'k' },
      nothing,
      'model_unavailable',
      'npm install langchain @langchain/core @langchain/google-genai',
    ],
    ['openai:', { OPENAI_API_KEY: 'k' }, everything, 'model_not_found', ''],
    ['nobody:x', {}, everything, 'model_not_found', 'GET /api/models'],
    ['google_genai:x', {}, everything, 'model_not_found', 'written google-genai:'],
    ['__proto__:x', {}, everything, 'model_not_found', ''],
  ])('%s says what is missing', async (name, env, isInstalled, code, message) => {
    await expect(openLangChain(name, { env, isInstalled })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
  })

  it('knows the providers that LangChain knows, and their packages', async () => {
    const { MODEL_PROVIDER_CONFIG } = await import('langchain/chat_models/universal')
    const packages = (table: Readonly<Record<string, { package: string }>>) =>
      Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, entry.package]))
    expect(packages(providers)).toEqual(packages(MODEL_PROVIDER_CONFIG))
  })

  it('says which settings it cannot make up, and not in LangChain’s words', async () => {
    const opening = openLangChain('azure_openai:mine', { env: { AZURE_OPENAI_API_KEY: 'k' } })
    await expect(opening).rejects.toMatchObject({
      code: 'model_unavailable',
      message: 'azure_openai:mine could not be set up: @langchain/openai needs settings beside the key; see its documentation.',
      cause: expect.any(Error),
    })
  })

  it('opens through LangChain when all is there', async () => {
    const { url, requests } = await startFakeOpenAi({ script: [{ delta: { content: 'hi' } }, { finish: 'stop' }] })
    vi.stubEnv('OPENAI_API_KEY', 'k')
    vi.stubEnv('OPENAI_BASE_URL', url)
    onTestFinished(() => void vi.unstubAllEnvs())
    const opened = await openLangChain('openai:a:b', { env: process.env })
    expect([opened.name, await say(opened)]).toEqual(['openai:a:b', ['hi', { finishReason: 'stop' }]])
    expect(requests[0]?.body.model).toBe('a:b')
  })
})

describe('the registry', () => {
  it('finds own models first, then simulated ones and the guide', async () => {
    const own = model('sim:count')
    const models = createModels({ models: [own, model('mine')], default: 'mine' })
    expect(await models.resolve('sim:count')).toBe(own)
    expect((await models.resolve()).name).toBe('mine')
    expect((await models.resolve('sim:echo')).name).toBe('sim:echo')
    expect((await models.resolve('builtin:guide')).name).toBe('builtin:guide')
    await expect(models.resolve('nobody')).rejects.toMatchObject({ code: 'model_not_found' })
    await expect(models.resolve('builtin:other')).rejects.toMatchObject({ code: 'model_not_found' })
  })

  it('calls a model as the record calls it', async () => {
    expect((await createModels({ models: { here: model('elsewhere') } }).resolve('here')).name).toBe('here')
  })

  it('lists what can be asked, the default among it', async () => {
    const names = (await createModels({ models: [model('mine')], default: 'mine' }).list()).map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['mine', 'sim:count', 'builtin:guide']))
    expect(new Set(names).size).toBe(names.length)
  })

  it('lists what each model accepts', async () => {
    const models = createModels({ models: [{ ...model('mine'), accepts: ['image/*'] }], default: 'sim:echo?tps=1' })
    const listed = (await models.list()).filter(({ accepts }) => accepts.length > 0)
    expect(listed.map(({ name, accepts }) => [name, accepts])).toEqual([
      ['sim:echo?tps=1', ['*/*']],
      ['mine', ['image/*']],
      ['sim:echo', ['*/*']],
    ])
  })

  it('refuses a model whose name could not be the name of an event', () => {
    expect(() => createModels({ models: [model('a\nb')] })).toThrow(TypeError)
  })
})
