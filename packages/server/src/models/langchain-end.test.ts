import { ChatOpenAI, type ChatOpenAIFields } from '@langchain/openai'
import { expect, it } from 'vitest'
import { type Step, startFakeOpenAi } from '../../test/support/fake-openai.ts'
import { fromLangChain, type LangChainModel } from './langchain.ts'
import type { Model, ModelPart } from './model.ts'

async function read(model: Model, signal = new AbortController().signal): Promise<{ parts: ModelPart[]; error?: unknown }> {
  const parts: ModelPart[] = []
  try {
    for await (const part of model.stream({ messages: [{ role: 'user', text: 'x' }], signal })) parts.push(part)
    return { parts }
  } catch (error) {
    return { parts, error }
  }
}

const openAi = (url: string, fields: ChatOpenAIFields = {}) =>
  fromLangChain(new ChatOpenAI({ model: 'fake', apiKey: 'k', maxRetries: 0, ...fields, configuration: { baseURL: url } }))

const chunked = (chunk: object) =>
  fromLangChain({
    _llmType: () => 'chunked',
    stream: async () =>
      (async function* () {
        yield chunk
      })(),
  } as LangChainModel)

const watched = { callbacks: [{ handleLLMNewToken() {} }] }

it.each<[string, Step[], ChatOpenAIFields]>([
  ['ends before its finish reason', [{ delta: { content: 'a' } }], {}],
  ['ends before its finish reason, by chunks', [{ delta: { content: 'a' } }], watched],
  ['turns into bytes that are no events', [{ delta: { content: 'a' } }, { raw: '\u0000\ufffd<html>\n\n' }], {}],
])('fails when the stream %s, with what came before', async (_what, script, fields) => {
  const { url } = await startFakeOpenAi({ script })
  const { parts, error } = await read(openAi(url, fields))
  expect(parts[0]).toEqual('a')
  expect(error).toMatchObject({ code: 'model_failed' })
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
