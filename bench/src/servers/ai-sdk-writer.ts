/** A second control row: only the AI SDK's writing of a stream. No model is asked, and tokens are written from a loop. */
import { createUIMessageStream, pipeUIMessageStreamToResponse } from 'ai'
import { serveChat } from './ai-sdk-server.ts'
import { dueTokens } from './due-model.ts'

serveChat((messages, response) => {
  const [part] = messages.at(-1)?.parts ?? []
  const stream = createUIMessageStream({
    async execute({ writer }) {
      writer.write({ type: 'text-start', id: '0' })
      for await (const delta of dueTokens(part?.type === 'text' ? part.text : ''))
        writer.write({ type: 'text-delta', id: '0', delta })
      writer.write({ type: 'text-end', id: '0' })
    },
  })
  return pipeUIMessageStreamToResponse({ response, stream, headers: { connection: 'close' } })
})
