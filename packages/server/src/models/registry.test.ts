import { describe, expect, it } from 'vitest'
import { startFakeOpenAi } from '../../test/support/fake-openai.ts'
import { resolveAuto } from './auto.ts'
import { openLangChain } from './langchain-provider.ts'
import type { Model } from './model.ts'
import { createModels } from './registry.ts'

const model = (name: string): Model => ({ name, async *stream() {} })
const open = async (name: string) => model(name)
const everything = () => true
const nothing = () => false

describe('auto', () => {
  it('takes the first provider whose key and package are there', async () => {
    const env = { ANTHROPIC_API_KEY: 'k', GROQ_API_KEY: 'k' }
    const found = await resolveAuto({ env, open, servers: [], isInstalled: everything })
    expect([found.model.name, found.reason]).toEqual(['anthropic:claude-sonnet-4-5', 'ANTHROPIC_API_KEY is set'])
    const isInstalled = (name: string) => name !== '@langchain/anthropic'
    expect((await resolveAuto({ env, open, servers: [], isInstalled })).model.name).toBe('groq:llama-3.3-70b-versatile')
  })

  it('says what is missing when a key is there and its package is not', async () => {
    const found = await resolveAuto({ env: { OPENAI_API_KEY: 'k' }, open, servers: [], isInstalled: nothing })
    expect([found.model.name, found.reason]).toEqual([
      'builtin:guide',
      'OPENAI_API_KEY is set, but @langchain/openai is not installed',
    ])
  })

  it('takes a local server that answers, its first model that can chat, and streams from it', async () => {
    const models = { object: 'list', data: [{ id: 'nomic-embed-text' }, { id: 'llama' }] }
    const { url, requests } = await startFakeOpenAi({ models, script: [{ delta: { content: 'local' } }, { finish: 'stop' }] })
    const servers = [
      { name: 'Nobody', url: 'http://127.0.0.1:1' },
      { name: 'LM Studio', url: url.slice(0, -3) },
    ]
    const found = await resolveAuto({ env: {}, open, servers })
    expect([found.model.name, found.reason]).toEqual(['lm-studio:llama', `LM Studio answers at ${url.slice(0, -3)}`])
    const parts = []
    for await (const part of found.model.stream({
      messages: [{ role: 'user', text: 'x' }],
      signal: new AbortController().signal,
    }))
      parts.push(part)
    expect(parts[0]).toBe('local')
    expect(requests[0]?.body.model).toBe('llama')
  })

  it.each([
    ['a page', '<!doctype html>'],
    ['other JSON', { models: ['x'] }],
    ['an empty list', { object: 'list', data: [] }],
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
    ['nobody:x', {}, everything, 'model_not_found', ''],
    ['__proto__:x', {}, everything, 'model_not_found', ''],
  ])('%s says what is missing', async (name, env, isInstalled, code, message) => {
    await expect(openLangChain(name, { env, isInstalled })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
  })

  it('opens through LangChain when all is there', async () => {
    process.env.OPENAI_API_KEY ??= 'k'
    expect((await openLangChain('openai:gpt-5-mini', { env: { OPENAI_API_KEY: 'k' } })).name).toBe('openai:gpt-5-mini')
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

  it('refuses a model whose name could not be the name of an event', () => {
    expect(() => createModels({ models: [model('a\nb')] })).toThrow(TypeError)
  })
})
