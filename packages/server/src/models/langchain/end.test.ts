import { expect, it } from 'vitest'
import type { Model, ModelPart } from '../model.ts'
import { fromLangChain, type LangChainModel } from './index.ts'

async function read(model: Model, signal = new AbortController().signal): Promise<{ parts: ModelPart[]; error?: unknown }> {
  const parts: ModelPart[] = []
  try {
    for await (const part of model.stream({ messages: [{ role: 'user', text: 'x' }], signal })) parts.push(part)
    return { parts }
  } catch (error) {
    return { parts, error }
  }
}

const chunked = (chunk: object) =>
  fromLangChain({
    _llmType: () => 'chunked',
    stream: async () =>
      (async function* () {
        yield chunk
      })(),
  } as LangChainModel)

it.each([
  'ERROR',
  'insufficient_system_resource',
  'network_error',
  'abort',
  'MALFORMED_FUNCTION_CALL',
  'timed_out',
  'server_err',
])('takes the end %s for a failure, and says so', async (finishReason) => {
  const { parts, error } = await read(chunked({ content: 'half', response_metadata: { finishReason } }))
  expect(parts).toEqual(['half'])
  expect(error).toMatchObject({ code: 'model_failed', message: expect.stringContaining(`"${finishReason}"`) })
})

it.each(['', ' ', 'null', 'None'])('takes the end %j for none', async (finishReason) => {
  expect(await read(chunked({ content: 'a', response_metadata: { finishReason } }))).toEqual({ parts: ['a'] })
})

it('takes an error after the finish reason for none, as the answer is whole', async () => {
  const model = {
    _llmType: () => 'breaking',
    stream: async () =>
      (async function* () {
        yield { content: 'a', response_metadata: { stop_reason: 'end_turn' } }
        throw new Error('the connection broke')
      })(),
  }
  expect(await read(fromLangChain(model))).toEqual({ parts: ['a', { finishReason: 'stop' }] })
})

it.each<[string, object, ModelPart[]]>([
  [
    'the end of Bedrock',
    { content: '', response_metadata: { messageStop: { stopReason: 'end_turn' } } },
    [{ finishReason: 'stop' }],
  ],
  [
    'an incomplete answer of OpenAI’s Responses',
    { content: '', response_metadata: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } } },
    [{ finishReason: 'length' }],
  ],
  [
    'a word that objects have by themselves',
    { content: '', response_metadata: { finish_reason: 'constructor' } },
    [{ finishReason: 'other' }],
  ],
  [
    'a total that counts more than the two',
    { content: '', usage_metadata: { input_tokens: 5, output_tokens: 3, total_tokens: 20 } },
    [{ usage: { inputTokens: 5, outputTokens: 3, totalTokens: 20 } }],
  ],
])('reads %s', async (_what, chunk, parts) => {
  expect(await read(chunked(chunk))).toEqual({ parts })
})
