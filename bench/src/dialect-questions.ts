/** How clients of each dialect ask for a number of tokens, as the model of due-model.ts takes it, and what stands before a token's text. */
import { randomUUID } from 'node:crypto'
import { post, request } from './requests.ts'

interface Question {
  ask(tokens: string): string
  readonly field: string
}

const aiSdk = (path: string): Question => ({
  ask: (tokens) =>
    post(path, {
      id: randomUUID(),
      trigger: 'submit-message',
      messages: [{ id: randomUUID(), role: 'user', parts: [{ type: 'text', text: tokens }] }],
    }),
  field: '"delta":"',
})

const agUi = (path: string): Question => ({
  ask: (tokens) =>
    post(path, {
      threadId: randomUUID(),
      runId: randomUUID(),
      protocolVersion: '1.0',
      state: {},
      messages: [{ id: randomUUID(), role: 'user', content: tokens }],
      tools: [],
      context: [],
      forwardedProps: {},
    }),
  field: '"delta":"',
})

const model = 'bench:due'
const messages = (tokens: string) => [{ role: 'user', content: tokens }]

export const dialectQuestions = {
  native: { ask: (tokens) => request(`/api/chat?query=${tokens}&model=${model}`), field: '"text":"' },
  'ai-sdk': aiSdk('/ai/chat'),
  'openai-chat': {
    ask: (tokens) => post('/v1/chat/completions', { model, messages: messages(tokens), stream: true }),
    field: '"content":"',
  },
  'openai-responses': { ask: (tokens) => post('/v1/responses', { model, input: tokens, stream: true }), field: '"delta":"' },
  'ag-ui': agUi('/ag-ui'),
  tanstack: agUi('/tanstack'),
  anthropic: {
    ask: (tokens) => post('/v1/messages', { model, max_tokens: 1000, messages: messages(tokens), stream: true }),
    field: '"text":"',
  },
} as const satisfies Readonly<Record<string, Question>>

export type Dialect = keyof typeof dialectQuestions
