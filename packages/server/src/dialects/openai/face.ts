/** OpenAI's addresses: Chat Completions, Responses and the list of models. */
import { encodeJson } from '@millrace/protocol'
import type { CreateFace } from '../../gateway/face.ts'
import { Retries, retryHeader } from '../shared/retries.ts'
import { createChatCompletionRoutes } from './chat/routes.ts'
import { openAiError } from './errors.ts'
import { createModelRoutes } from './model-routes.ts'
import { createResponseRoutes } from './responses/routes.ts'
import { createResponseSocket } from './responses/socket.ts'

export const createOpenAiFace: CreateFace = (context) => {
  const retries = new Retries(context)
  return {
    prefix: '/v1',
    sockets: [createResponseSocket(context)],
    routes: [
      ...createChatCompletionRoutes(context, retries),
      ...createResponseRoutes(context, retries),
      ...createModelRoutes(context),
    ],
    formatError: (error) => ({
      body: encodeJson({ error: { ...openAiError(error) } }),
      headers: retryHeader(error),
    }),
  }
}
