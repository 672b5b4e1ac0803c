/** The control row for dialects: the AI SDK's own server, as its documentation has it, over a model in the same process. */
import { convertToModelMessages, pipeUIMessageStreamToResponse, streamText, toUIMessageStream } from 'ai'
import { MockLanguageModelV4 } from 'ai/test'
import { serveChat } from './ai-sdk-server.ts'
import { dueTokens } from './due-model.ts'

type Options = Parameters<MockLanguageModelV4['doStream']>[0]
type Part = Awaited<ReturnType<MockLanguageModelV4['doStream']>>['stream'] extends ReadableStream<infer Each> ? Each : never

const model = new MockLanguageModelV4({
  doStream: async ({ prompt, abortSignal }: Options) => {
    const content = prompt.at(-1)?.content[0]
    const asked = typeof content === 'object' && content.type === 'text' ? content.text : ''
    return { stream: ReadableStream.from<Part>(parts(asked, abortSignal)) }
  },
})

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined },
}

async function* parts(asked: string, signal?: AbortSignal): AsyncGenerator<Part> {
  yield { type: 'text-start', id: '0' }
  for await (const delta of dueTokens(asked, signal)) yield { type: 'text-delta', id: '0', delta }
  yield { type: 'text-end', id: '0' }
  yield { type: 'finish', finishReason: { unified: 'stop', raw: undefined }, usage }
}

serveChat(async (messages, response) => {
  const result = streamText({ model, messages: await convertToModelMessages(messages) })
  await pipeUIMessageStreamToResponse({
    response,
    stream: toUIMessageStream({ stream: result.stream }),
    headers: { connection: 'close' },
  })
})
