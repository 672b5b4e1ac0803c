/** Tools that the server executes: PROTOCOL.md#calls-of-tools. */
import {
  defineTool,
  type Engine,
  type MillraceOptions,
  type Model,
  type ModelMessage,
  type ModelPart,
  type Run,
  ToolError,
} from 'millrace'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startServer } from './support/server.ts'

type Step = (messages: readonly ModelMessage[]) => readonly ModelPart[]

/** A model with one script for each step, which notes what it was asked. */
function scripted(...steps: (Step | readonly ModelPart[])[]) {
  const asked: (readonly ModelMessage[])[] = []
  const model: Model = {
    name: 'm',
    async *stream({ messages }) {
      const step = steps[Math.min(asked.length, steps.length - 1)] ?? []
      asked.push(messages)
      yield* typeof step === 'function' ? step(messages) : step
    },
  }
  return { model, asked }
}

const call = (id: string, name: string, given: object = {}): ModelPart => ({
  toolCall: { id, name, arguments: given as never },
})
const weather = defineTool({
  description: 'The weather in a city.',
  input: z.object({ city: z.string() }),
  execute: ({ city }) => ({ city, celsius: 31 }),
})

async function ask(options: MillraceOptions, request: object = {}) {
  const { millrace, url } = await startServer(options)
  const run = await millrace.ask({ query: 'x', models: ['m'], ...request })
  const end = await run.ended
  const record = (await millrace.readSession(run.session))?.runs.at(-1)
  return { millrace, url, run, end, record, lane: record?.lanes[0], parts: record?.lanes[0]?.parts ?? [] }
}

/** Resolves when an event of this type is in the log. */
async function recorded(engine: Engine, { session, start }: Run, type: string): Promise<void> {
  let grown = Promise.withResolvers<void>()
  const unwatch = engine.watch(session, () => grown.resolve())
  for (;;) {
    const { events } = await engine.read(session, start)
    if (events.some((event) => event.type === type)) return unwatch()
    await grown.promise
    grown = Promise.withResolvers()
  }
}

describe('a tool of the server', () => {
  it('is given in the same list to the model of every run, with tools of its own and without', async () => {
    const lists: unknown[] = []
    const noting: Model = {
      name: 'm',
      async *stream({ tools }) {
        lists.push(tools)
        yield { text: '.' }
      },
    }
    for (const model of [noting, { ...noting, tools: { clock: weather } }]) {
      const { millrace } = await ask({ models: [model], tools: { weather } })
      await (await millrace.ask({ query: 'again', models: ['m'] })).ended
    }
    expect(lists).toMatchObject([{ length: 1 }, { length: 1 }, { length: 2 }, { length: 2 }])
    expect(lists[1]).toBe(lists[0])
    expect(lists[3]).toBe(lists[2])
  })

  it('is executed with checked arguments, and the model goes on with its result', async () => {
    const usage = (n: number): ModelPart => ({
      usage: { inputTokens: n, outputTokens: 1, totalTokens: n + 1, cachedInputTokens: 2 },
    })
    const { model, asked } = scripted(
      ['Let me look. ', call('c1', 'weather', { city: 'Hefei' }), usage(5), { finishReason: 'tool_calls' }],
      ['It is 31.', usage(9), { finishReason: 'stop' }],
    )
    const { end, lane, parts } = await ask({ models: [model], tools: { weather } })
    expect(end).toMatchObject({
      status: 'completed',
      finishReason: 'stop',
      usage: { inputTokens: 14, outputTokens: 2, totalTokens: 16, cachedInputTokens: 4 },
    })
    expect(lane?.text).toBe('Let me look. It is 31.')
    expect(parts).toEqual([
      { type: 'text', text: 'Let me look. ' },
      {
        type: 'tool',
        call: 'c1',
        name: 'weather',
        arguments: { city: 'Hefei' },
        by: 'server',
        state: 'done',
        value: { city: 'Hefei', celsius: 31 },
      },
      {
        type: 'step',
        step: 0,
        finishReason: 'tool_calls',
        usage: { inputTokens: 5, outputTokens: 1, totalTokens: 6, cachedInputTokens: 2 },
      },
      { type: 'text', text: 'It is 31.' },
    ])
    expect(asked[1]?.slice(1)).toEqual([
      {
        role: 'assistant',
        text: 'Let me look. ',
        parts: [
          { type: 'text', text: 'Let me look. ' },
          { type: 'tool_call', id: 'c1', name: 'weather', arguments: { city: 'Hefei' } },
        ],
      },
      {
        role: 'tool',
        text: '{"city":"Hefei","celsius":31}',
        parts: [{ type: 'tool_result', call: 'c1', value: { city: 'Hefei', celsius: 31 } }],
      },
    ])
  })

  it('runs beside the others of its step', async () => {
    const both = Promise.withResolvers<void>()
    let running = 0
    const wait = {
      description: 'w',
      execute: async () => {
        running += 1
        if (running === 2) both.resolve()
        await both.promise
      },
    }
    const { model } = scripted([call('a', 'wait'), call('b', 'wait')], ['done'])
    const { end, parts } = await ask({ models: [model], tools: { wait } })
    expect(end.status).toBe('completed')
    expect(parts.filter(({ type }) => type === 'tool')).toMatchObject([
      { call: 'a', state: 'done', value: null },
      { call: 'b', state: 'done', value: null },
    ])
  })

  it('gets who asks, and for which call', async () => {
    const { model } = scripted([call('c1', 'who')], ['done'])
    const who = {
      description: 'w',
      execute: (_input: unknown, { signal, ...context }: { signal: AbortSignal }) => ({ ...context, isAborted: signal.aborted }),
    }
    const { run, parts } = await ask({ models: [model], tools: { who } }, { principal: 'alice', metadata: { order: '7' } })
    expect(parts[0]).toMatchObject({
      value: {
        session: run.session,
        run: run.id,
        lane: 'm',
        call: 'c1',
        principal: 'alice',
        metadata: { order: '7' },
        isAborted: false,
      },
    })
  })

  it('can have several results, of which each replaces the one before', async () => {
    const { model, asked } = scripted([call('c1', 'count')], ['done'])
    const count = {
      description: 'c',
      async *execute() {
        yield 1
        yield 2
        yield 3
      },
    }
    const { millrace, run } = await ask({ models: [model], tools: { count } })
    const { events } = await millrace.engine.read(run.session, run.start)
    expect(events.filter(({ type }) => type === 'tool_result').map(({ data }) => data)).toMatchObject([
      { value: 1, preliminary: true },
      { value: 2, preliminary: true },
      { value: 3 },
    ])
    expect(asked[1]?.at(-1)?.text).toBe('3')
  })

  it.each<[string, object, string | RegExp]>([
    ['arguments that do not match', { city: 1 }, /do not match its schema: arguments\.city/],
    ['arguments that are text', 'Hefei' as unknown as object, /do not match its schema/],
  ])('gets no %s; the model gets the reason', async (_what, given, reason) => {
    const { model, asked } = scripted([call('c1', 'weather', given)], ['done'])
    const { end, parts } = await ask({ models: [model], tools: { weather } })
    expect(end.status).toBe('completed')
    expect(parts[0]).toMatchObject({ state: 'failed', value: expect.stringMatching(reason) })
    expect(asked[1]?.at(-1)?.parts).toMatchObject([{ isError: true }])
  })

  it.each<[string, () => unknown, string]>([
    ['what a ToolError says', () => Promise.reject(new ToolError('No such city.')), 'No such city.'],
    ['nothing of any other error', () => Promise.reject(new Error('password 123')), 'The tool failed.'],
    [
      'that its result is too large',
      () => 'x'.repeat(200_000),
      'The tool returned what is not JSON, or more than an event may have.',
    ],
    ['that its result is not JSON', () => 1n, 'The tool returned what is not JSON, or more than an event may have.'],
  ])('that fails gives the model %s', async (_what, execute, value) => {
    const errors: unknown[] = []
    const { model } = scripted([call('c1', 't')], ['done'])
    const { end, parts } = await ask({
      models: [model],
      tools: { t: { description: 't', execute } },
      onError: (error) => errors.push(error),
    })
    expect(end.status).toBe('completed')
    expect(parts[0]).toMatchObject({ state: 'failed', value })
    expect(errors).toHaveLength(value === 'The tool failed.' ? 1 : 0)
  })

  it('that does not exist is an error for the model', async () => {
    const { model } = scripted([call('c1', 'nothing')], ['done'])
    const { parts } = await ask({ models: [model], tools: { weather } })
    expect(parts[0]).toMatchObject({ by: 'server', state: 'failed', value: 'There is no tool nothing.' })
  })

  it('has a deadline, also where it ignores its signal', async () => {
    const { model } = scripted([call('c1', 'hang'), call('c2', 'slow')], ['done'])
    const tools = {
      hang: { description: 'h', timeoutMs: 20, execute: () => new Promise(() => {}) },
      slow: {
        description: 's',
        execute: (_: unknown, { signal }: { signal: AbortSignal }) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
      },
    }
    const { end, parts } = await ask({ models: [model], tools, limits: { toolMsMax: 30 } })
    expect(end.status).toBe('completed')
    expect(parts).toMatchObject([
      { state: 'failed', value: 'The tool hang did not return within 0.02 seconds.' },
      { state: 'failed', value: 'The tool slow did not return within 0.03 seconds.' },
      { type: 'step' },
      { text: 'done' },
    ])
  })

  it('is aborted by a stop, which keeps what there is', async () => {
    const started = Promise.withResolvers<void>()
    const aborted = Promise.withResolvers<void>()
    const hang = {
      description: 'h',
      execute: (_: unknown, { signal }: { signal: AbortSignal }) => {
        started.resolve()
        signal.addEventListener('abort', () => aborted.resolve())
        return new Promise(() => {})
      },
    }
    const { model } = scripted(['Let me. ', call('a', 'weather', { city: 'Hefei' }), call('b', 'hang')], ['never'])
    const { millrace } = await startServer({ models: [model], tools: { weather, hang } })
    const run = await millrace.ask({ query: 'x', models: ['m'] })
    await started.promise
    await recorded(millrace.engine, run, 'tool_result')
    run.stop()
    expect(await run.ended).toMatchObject({ status: 'stopped' })
    await aborted.promise
    const lane = (await millrace.readSession(run.session))?.runs[0]?.lanes[0]
    expect(lane).toMatchObject({ text: 'Let me. ', status: 'stopped' })
    expect(lane?.parts).toMatchObject([{ text: 'Let me. ' }, { call: 'a', state: 'done' }, { call: 'b', state: 'called' }])
  })

  it('is not executed after the last of stepsMax steps', async () => {
    let executed = 0
    const again = { description: 'a', execute: () => ++executed }
    const { model, asked } = scripted([call('c', 'again'), { finishReason: 'tool_calls' }])
    const { end, parts } = await ask({ models: [model], tools: { again }, limits: { stepsMax: 3 } })
    expect(end).toMatchObject({ status: 'completed', finishReason: 'tool_calls' })
    expect([asked.length, executed]).toEqual([3, 2])
    expect(parts.filter(({ type }) => type === 'tool')).toMatchObject([
      { call: 'c', state: 'done' },
      { call: 'c#2', state: 'done' },
      { call: 'c#3', state: 'failed' },
    ])
  })

  it.each([
    ['a name that no provider takes', { 'get weather': weather }],
    ['no description', { weather: { execute: () => 1 } as never }],
    ['a schema of no object', { weather: { description: 'w', input: z.string(), execute: () => 1 } }],
    ['a JSON schema that says nothing', { weather: { description: 'w', input: { type: 'objekt' } } }],
    ['an approval that a client would have to give', { weather: { description: 'w', needsApproval: true } }],
  ])('with %s is rejected when the server is made', async (_what, tools) => {
    await expect(startServer({ tools: tools as never })).rejects.toThrow(TypeError)
  })
})

describe('the models of later runs', () => {
  it('get the calls and results of earlier ones, but none without a result', async () => {
    const { model, asked } = scripted(['Let me. ', call('a', 'weather', { city: 'Hefei' })], ['31.'], ['ok'])
    const { millrace, run } = await ask({ models: [model], tools: { weather } })
    await (await millrace.ask({ query: 'and now?', models: ['m'], session: run.session })).ended
    expect(asked.at(-1)).toMatchObject([
      { role: 'user', text: 'x' },
      { role: 'assistant', parts: [{ text: 'Let me. ' }, { type: 'tool_call', id: 'a' }] },
      { role: 'tool', parts: [{ type: 'tool_result', call: 'a' }] },
      { role: 'assistant', text: '31.' },
      { role: 'user', text: 'and now?' },
    ])
    const stopped = await millrace.run({
      session: 's',
      query: 'q',
      source: ['Half', { toolCall: { id: 'b', name: 'n', arguments: {} } }],
    })
    await stopped.ended
    await (await millrace.ask({ query: 'and?', models: ['m'], session: 's' })).ended
    expect(asked.at(-1)).toEqual([
      { role: 'user', text: 'q' },
      { role: 'assistant', text: 'Half' },
      { role: 'user', text: 'and?' },
    ])
  })

  it('go on after the results, where the answer was cut there', async () => {
    let isCut = true
    const { model, asked } = scripted(['Let me. ', call('a', 'weather', { city: 'Hefei' })], () => {
      if (isCut) throw new Error('cut')
      return ['31.']
    })
    const { millrace, run, end } = await ask({ models: [model], tools: { weather }, onError() {} })
    expect(end.status).toBe('failed')
    isCut = false
    const next = await millrace.resume({ run: run.id })
    expect(await next.ended).toMatchObject({ status: 'completed' })
    expect(asked.at(-1)?.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
  })
})

describe('sim:tool', () => {
  it('calls a simulated tool and says what it returned', async () => {
    const { millrace } = await startServer()
    const run = await millrace.ask({ query: 'x', models: ['sim:tool?tps=0&calls=2'] })
    expect(await run.ended).toMatchObject({ status: 'completed' })
    const lane = (await millrace.readSession(run.session))?.runs[0]?.lanes[0]
    expect(lane?.text).toBe(
      'Let me look. The weather says: {"city":"Shanghai","celsius":28,"sky":"clear"}; {"city":"Hefei","celsius":27,"sky":"clear"}.',
    )
    expect(lane?.parts.map(({ type }) => type)).toEqual(['text', 'tool', 'tool', 'step', 'text'])
  })
})
