import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SimpleChatModel } from '@langchain/core/language_models/chat_models'
import { AIMessageChunk } from '@langchain/core/messages'
import { ChatOpenAI, type ChatOpenAIFields } from '@langchain/openai'
import { MillraceError } from '@millrace/protocol'
import { describe, expect, it, vi } from 'vitest'
import { type FakeOpenAi, type FakeOpenAiOptions, type Step, startFakeOpenAi } from '../../../test/support/fake-openai.ts'
import type { ModelPart } from '../model.ts'
import type { LangChainChunk } from './chunks.ts'
import { fromLangChain, type LangChainModel } from './index.ts'

const say = (...words: string[]): Step[] => words.map((content) => ({ delta: { content } }))
const watched = { callbacks: [{ handleLLMNewToken() {} }] }

function open({ url }: FakeOpenAi, fields: ChatOpenAIFields = {}) {
  return fromLangChain(new ChatOpenAI({ model: 'fake', apiKey: 'sk-123', configuration: { baseURL: url }, ...fields }))
}

function ask(model: ReturnType<typeof fromLangChain>, signal = new AbortController().signal): AsyncIterator<ModelPart> {
  return model.stream({ messages: [{ role: 'user', text: 'x' }], signal })[Symbol.asyncIterator]()
}

async function collect(answer: AsyncIterator<ModelPart>): Promise<ModelPart[]> {
  const parts: ModelPart[] = []
  for (let next = await answer.next(); !next.done; next = await answer.next()) parts.push(next.value)
  return parts
}

async function answer(options: FakeOpenAiOptions, fields?: ChatOpenAIFields): Promise<ModelPart[]> {
  return collect(ask(open(await startFakeOpenAi(options), fields)))
}

/** A model that answers with these chunks. */
function chunked(...chunks: LangChainChunk[]): LangChainModel {
  return {
    _llmType: () => 'chunked',
    async stream() {
      return (async function* () {
        yield* chunks
      })()
    },
  }
}

class Unstreamed extends SimpleChatModel {
  override _llmType() {
    return 'unstreamed'
  }
  override async _call() {
    return 'all at once'
  }
}

describe.each([
  ['by events', {}],
  ['by chunks, for its callbacks', watched],
])('an OpenAI-compatible server, read %s', (_how, fields) => {
  it('gives text, reasoning, usage and finish reason, each once', async () => {
    const script: Step[] = [
      { delta: { role: 'assistant', content: '' } },
      { delta: { reasoning_content: 'Hm. ' } },
      ...say('ha ', 'ha '),
      { finish: 'stop' },
      { usage: { prompt_tokens: 3, completion_tokens: 4 } },
    ]
    expect(await answer({ script }, fields)).toEqual([
      { reasoning: 'Hm. ' },
      'ha ',
      'ha ',
      { usage: { inputTokens: 3, outputTokens: 4, totalTokens: 7 } },
      { finishReason: 'stop' },
    ])
  })

  it('says of OpenAI’s Responses nothing twice', async () => {
    expect(await answer({ script: [{ raw: responses }] }, { ...fields, useResponsesApi: true })).toEqual([
      { reasoning: 'Let me ' },
      { reasoning: 'see.' },
      'Hel',
      'lo',
      { usage: { inputTokens: 3, outputTokens: 9, totalTokens: 12, reasoningTokens: 5, cachedInputTokens: 2 } },
      { finishReason: 'stop' },
    ])
  })

  it.each([
    ['without counts', '{"total_tokens":3}'],
    ['of nulls', '{"prompt_tokens":null,"completion_tokens":null,"total_tokens":null}'],
  ])('takes a usage %s for none', async (_what, usage) => {
    const raw = `data: {"id":"c","choices":[],"usage":${usage}}\n\n`
    expect(await answer({ script: [...say('a'), { finish: 'stop' }, { raw }] }, fields)).toEqual(['a', { finishReason: 'stop' }])
  })

  it('ends with tool_calls where a tool was called, whatever the server calls it', async () => {
    const call = { index: 0, id: 't', type: 'function', function: { name: 'f', arguments: '{}' } }
    const script: Step[] = [{ delta: { role: 'assistant', content: null, tool_calls: [call] } }, { finish: 'stop' }]
    expect((await answer({ script }, fields)).at(-1)).toEqual({ finishReason: 'tool_calls' })
  })

  it('closes the request at once when aborted, and takes that for no error', async () => {
    const provider = await startFakeOpenAi({ script: [...say('begun'), 'hang'] })
    const abort = new AbortController()
    const parts = ask(open(provider, fields), abort.signal)
    await parts.next()
    const next = parts.next()
    abort.abort()
    expect(await next).toEqual({ done: true, value: undefined })
    // Else never.
    await provider.requests[0]?.closed
  })

  it.each([false, true])('closes the request when its reader goes away, also while it waits (%s)', async (isWaiting) => {
    const provider = await startFakeOpenAi({ script: [...say('begun'), 'hang'] })
    const parts = ask(open(provider, fields))
    await parts.next()
    const next = isWaiting ? parts.next() : undefined
    expect((await parts.return?.())?.done).toBe(true)
    expect((await next)?.done).not.toBe(false)
    await provider.requests[0]?.closed
  })

  it('does not ask again, and say everything again, when the stream breaks', async () => {
    const provider = await startFakeOpenAi({ script: [...say('so ', 'far'), 'cut'] })
    const parts = ask(open(provider, { ...fields, maxRetries: 6 }))
    expect([(await parts.next()).value, (await parts.next()).value]).toEqual(['so ', 'far'])
    await expect(parts.next()).rejects.toMatchObject({ code: 'model_failed' })
    expect(provider.requests).toHaveLength(1)
  })
})

describe('what only one way gives', () => {
  it('reads the reasoning that Ollama, vLLM and OpenRouter send under another name', async () => {
    const script: Step[] = [{ delta: { role: 'assistant', content: '', reasoning: 'Hm.' } }, ...say('a'), { finish: 'stop' }]
    expect(await answer({ script })).toEqual([{ reasoning: 'Hm.' }, 'a', { finishReason: 'stop' }])
  })

  it('tells the callbacks of a model, and tracers where tracing is on', async () => {
    const handleLLMNewToken = vi.fn()
    await answer({ script: [...say('a', 'b'), { finish: 'stop' }] }, { callbacks: [{ handleLLMNewToken }] })
    expect(handleLLMNewToken.mock.calls.map(([token]) => token)).toEqual(['a', 'b', ''])
  })

  it.each([
    ['a model that does not stream', new Unstreamed({})],
    ['plain chunks', chunked({ content: 'all ' }, { content: 'at once' })],
  ])('reads %s', async (_what, chatModel) => {
    const said = (await collect(ask(fromLangChain(chatModel)))).filter((part) => typeof part === 'string')
    expect(said.join('')).toBe('all at once')
  })

  it('reads content in blocks as LangChain reads it for the provider', async () => {
    const response_metadata = { model_provider: 'anthropic' }
    const parts = await collect(
      ask(
        fromLangChain(
          chunked(
            new AIMessageChunk({ content: [{ type: 'thinking', thinking: 'Hm.', index: 0 }], response_metadata }),
            new AIMessageChunk({ content: [{ type: 'text', text: 'Yes.', index: 1 }], response_metadata }),
          ),
        ),
      ),
    )
    expect(parts).toEqual([{ reasoning: 'Hm.' }, 'Yes.'])
  })

  it('takes <think> at the beginning for reasoning, unless the host wants it as it is', async () => {
    const model = chunked({ content: '<think>Hm.</th' }, { content: 'ink>Yes.' })
    expect(await collect(ask(fromLangChain(model)))).toEqual([{ reasoning: 'Hm.' }, 'Yes.'])
    const untouched = await collect(ask(fromLangChain(model, 'raw', { thinkTags: false })))
    expect(untouched).toEqual(['<think>Hm.</th', 'ink>Yes.'])
  })

  it('adds a usage that is spread over chunks', async () => {
    const usage = (input_tokens: number, output_tokens: number): LangChainChunk => ({
      content: '',
      usage_metadata: { input_tokens, output_tokens },
    })
    expect(await collect(ask(fromLangChain(chunked(usage(9, 1), usage(0, 4)))))).toEqual([
      { usage: { inputTokens: 9, outputTokens: 5, totalTokens: 14 } },
    ])
  })

  it.each([
    ['STOP', 'stop'],
    ['MAX_TOKENS', 'length'],
    ['SAFETY', 'content_filter'],
    ['tool_use', 'tool_calls'],
    ['something new', 'other'],
  ])('calls the end %s %s', async (reason, finishReason) => {
    const chunk = { content: '', response_metadata: { finishReason: reason } }
    expect(await collect(ask(fromLangChain(chunked(chunk))))).toEqual([{ finishReason }])
  })
})

describe('errors of a provider', () => {
  it.each([
    [400, 'x', 'model_rejected', 'a shorter conversation may help'],
    [401, 'x', 'model_unauthorized', 'does not accept the key'],
    [402, 'x', 'model_rejected', 'no credit left'],
    [403, 'x', 'model_unauthorized', 'does not allow this key'],
    [404, 'x', 'model_rejected', 'does not know the model'],
    [413, 'x', 'model_rejected', 'a shorter conversation may help'],
    [422, 'x', 'model_rejected', 'a shorter conversation may help'],
    [429, 'x', 'model_rate_limited', 'try again later'],
    [429, 'insufficient_quota', 'model_rejected', 'no credit left'],
    [500, 'x', 'model_failed', 'answered with status 500'],
  ])('%d with code %s is %s', async (status, code, expected, message) => {
    const error = await answer({ status, code }, { maxRetries: 0 }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({ code: expected, message: expect.stringContaining(message), cause: expect.anything() })
    expect((error as Error).message).not.toMatch(/sk-123|secret|127\.0\.0\.1/)
  })

  it('says that nobody is there, and not where', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    const nobody = { url: `http://127.0.0.1:${port}/v1`, requests: [] }
    const error = await collect(ask(open(nobody, { maxRetries: 0 }))).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'model_failed', message: 'The provider of fake cannot be reached; try again later.' })
  })
})

const reasoning = { type: 'reasoning', id: 'rs', summary: [{ type: 'summary_text', text: 'Let me see.' }] }
const message = {
  type: 'message',
  id: 'm',
  role: 'assistant',
  content: [{ type: 'output_text', text: 'Hello', annotations: [] }],
}
const responses = [
  { type: 'response.created', response: { id: 'r', status: 'in_progress', output: [], model: 'fake' } },
  { type: 'response.output_item.added', output_index: 0, item: { ...reasoning, summary: [] } },
  { type: 'response.reasoning_summary_text.delta', output_index: 0, item_id: 'rs', summary_index: 0, delta: 'Let me ' },
  { type: 'response.reasoning_summary_text.delta', output_index: 0, item_id: 'rs', summary_index: 0, delta: 'see.' },
  { type: 'response.output_item.done', output_index: 0, item: reasoning },
  { type: 'response.output_item.added', output_index: 1, item: { ...message, content: [] } },
  { type: 'response.output_text.delta', output_index: 1, item_id: 'm', content_index: 0, delta: 'Hel' },
  { type: 'response.output_text.delta', output_index: 1, item_id: 'm', content_index: 0, delta: 'lo' },
  { type: 'response.output_text.done', output_index: 1, item_id: 'm', content_index: 0, text: 'Hello' },
  { type: 'response.output_item.done', output_index: 1, item: message },
  {
    type: 'response.completed',
    response: {
      id: 'r',
      status: 'completed',
      model: 'fake',
      output: [reasoning, message],
      usage: {
        input_tokens: 3,
        output_tokens: 9,
        total_tokens: 12,
        output_tokens_details: { reasoning_tokens: 5 },
        input_tokens_details: { cached_tokens: 2 },
      },
    },
  },
]
  .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  .join('')
