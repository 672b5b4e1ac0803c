/** How each dialect is asked, what its errors look like, and how its real client shows them: the rows of suites of all dialects. */
import { HttpAgent } from '@ag-ui/client'
import Anthropic from '@anthropic-ai/sdk'
import { DurableStream } from '@durable-streams/client'
import { fetchServerSentEvents } from '@tanstack/ai-client'
import { DefaultChatTransport } from 'ai'
import type { MillraceOptions } from 'millrace'
import OpenAI from 'openai'
import { expect } from 'vitest'

export interface Asked {
  readonly text?: string
  /** Default that of the server. */
  readonly model?: string
  /** Of the chat or thread. */
  readonly chat?: string
  /** Of the question or run, for dialects that name it. */
  readonly id?: string
  /** A part of the message, in place of its text. */
  readonly part?: object
}

export interface ReadError {
  readonly message: string
  /** Absent where errors are text. */
  readonly code?: string
  readonly type?: string
}

export interface Speaker {
  readonly name: string
  readonly dialects: NonNullable<MillraceOptions['dialects']>
  readonly path: string
  readonly asksModel: boolean
  readonly method?: 'PUT'
  readonly contentType?: string
  body(asked?: Asked): string
  /** Of the body of a response; fails where it has another form. */
  readError(text: string, type: string | null): ReadError
  /** By the status. */
  readonly types?: Readonly<Record<number, string>>
  /** What the real client rejects with when it asks. */
  readonly client?: (given: ClientGiven) => Promise<unknown>
}

export interface ClientGiven {
  readonly url: string
  readonly headers: Record<string, string>
  readonly model: string
  /** Counts what is sent. */
  readonly fetch: typeof fetch
}

const own = (text: string): ReadError => {
  const { error, ...rest } = JSON.parse(text) as { error: { code: string; message: string; docs: string } }
  expect([rest, error.docs]).toEqual([{}, `/docs/errors#${error.code}`])
  return error
}

const plain = (text: string, type: string | null): ReadError => {
  expect(type).toBe('text/plain; charset=utf-8')
  expect(text).toMatch(/^[A-Z`].+\.$/)
  return { message: text }
}

const uiMessage = ({ text = 'x', id = '1', part }: Asked) => ({ id, role: 'user', parts: [part ?? { type: 'text', text }] })
const agUiInput = ({ text = 'x', model, chat = 't', id = 'r', part }: Asked) => ({
  threadId: chat,
  runId: id,
  messages: [{ id: `${id}-question`, role: 'user', content: part === undefined ? text : [part] }],
  ...(model !== undefined && { forwardedProps: { model } }),
})
const message = ({ text = 'x', part }: Asked) => ({ role: 'user', content: part === undefined ? text : [part] })

const openai = {
  asksModel: true,
  dialects: ['openai'],
  readError(text: string): ReadError {
    const { error, ...rest } = JSON.parse(text) as { error: { message: string; type: string; param: null; code: string } }
    expect([rest, Object.keys(error)]).toEqual([{}, ['message', 'type', 'param', 'code']])
    return error
  },
  types: {
    400: 'invalid_request_error',
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'invalid_request_error',
    429: 'rate_limit_error',
    503: 'server_error',
  },
} as const

const tanstack = {
  dialects: ['tanstack'],
  asksModel: true,
  body: (asked: Asked = {}) => JSON.stringify(agUiInput(asked)),
  readError: own,
} as const

const clientOf = ({ url, headers, fetch: send }: ClientGiven) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', defaultHeaders: { authorization: null, ...headers }, fetch: send })

export const speakers: readonly Speaker[] = [
  {
    name: 'AI SDK',
    dialects: ['ai-sdk'],
    asksModel: true,
    path: '/ai/chat',
    body: ({ chat: id = 'c', model, ...asked } = {}) => JSON.stringify({ id, model, messages: [uiMessage(asked)] }),
    readError: plain,
    async client({ url, headers, model, fetch: send }) {
      const transport = new DefaultChatTransport({ api: `${url}/ai/chat`, headers, body: { model }, fetch: send })
      const messages = [uiMessage({})] as never
      return transport.sendMessages({
        chatId: 'c',
        messages,
        trigger: 'submit-message',
        messageId: undefined,
        abortSignal: undefined,
      })
    },
  },
  {
    name: 'OpenAI Chat Completions',
    ...openai,
    path: '/v1/chat/completions',
    body: ({ model = 'default', ...asked } = {}) => JSON.stringify({ model, stream: true, messages: [message(asked)] }),
    client: (given) =>
      clientOf(given)
        .chat.completions.stream({ model: given.model, messages: [{ role: 'user', content: 'x' }] })
        .finalContent(),
  },
  {
    name: 'OpenAI Responses',
    ...openai,
    path: '/v1/responses',
    body: ({ model = 'default', text = 'x', part } = {}) =>
      JSON.stringify({ model, stream: true, input: part === undefined ? text : [message({ part })] }),
    client: (given) => clientOf(given).responses.create({ model: given.model, input: 'x', stream: true }),
  },
  {
    name: 'AG-UI',
    dialects: ['ag-ui'],
    asksModel: true,
    path: '/ag-ui',
    body: (asked = {}) => JSON.stringify(agUiInput(asked)),
    readError: own,
    async client({ url, headers, model, fetch: send }) {
      const agent = new HttpAgent({ url: `${url}/ag-ui`, headers, fetch: send })
      agent.addMessage({ id: 'u', role: 'user', content: 'x' })
      return agent.runAgent({ forwardedProps: { model } })
    },
  },
  {
    ...tanstack,
    name: 'TanStack AI',
    path: '/tanstack',
    async client({ url, headers, model, fetch: send }) {
      const connection = fetchServerSentEvents(`${url}/tanstack`, { headers, fetchClient: send })
      const context = { threadId: 't', runId: 'r', forwardedProps: { model } }
      const messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', content: 'x' }] }] as never
      for await (const chunk of connection.connect(messages, undefined, undefined, context as never)) void chunk
    },
  },
  { ...tanstack, name: 'lines of TanStack AI', path: '/tanstack/lines' },
  {
    name: 'Anthropic',
    dialects: ['anthropic'],
    asksModel: true,
    path: '/v1/messages',
    body: ({ model = 'default', ...asked } = {}) =>
      JSON.stringify({ model, max_tokens: 100, stream: true, messages: [message(asked)] }),
    readError(text) {
      const { type, error, ...rest } = JSON.parse(text) as {
        type: string
        error: { type: string; message: string; code: string }
      }
      expect([type, rest, Object.keys(error)]).toEqual(['error', {}, ['type', 'message', 'code']])
      return error
    },
    types: { ...openai.types, 413: 'request_too_large', 503: 'overloaded_error' },
    client({ url, headers, model, fetch: send }) {
      const anthropic = new Anthropic({ baseURL: url, apiKey: null, authToken: 'none', defaultHeaders: headers, fetch: send })
      return anthropic.messages.create({ model, max_tokens: 100, messages: [{ role: 'user', content: 'x' }] })
    },
  },
  {
    name: 'producer',
    asksModel: false,
    dialects: [],
    path: '/api/runs',
    contentType: 'application/x-ndjson',
    body: ({ text = 'x', part } = {}) => `${JSON.stringify({ query: text })}\n${JSON.stringify(part ?? { text: 'y' })}\n`,
    readError: own,
  },
  {
    name: 'Durable Streams',
    dialects: ['durable-streams'],
    asksModel: false,
    path: '/ds/streams/a',
    method: 'PUT',
    contentType: 'application/json',
    body: ({ text = 'x' } = {}) => JSON.stringify([text]),
    readError: plain,
    client: ({ url, headers, fetch: send }) =>
      DurableStream.create({ url: `${url}/ds/streams/a`, headers, contentType: 'application/json', fetch: send } as never),
  },
]

export function requestTo(url: string, speaker: Speaker, body: string, headers: Record<string, string> = {}): Request {
  const { path, method = 'POST', contentType = 'application/json' } = speaker
  return new Request(url + path, { method, headers: { 'content-type': contentType, ...headers }, body })
}

export const post = (...request: Parameters<typeof requestTo>): Promise<Response> => fetch(requestTo(...request))

/** That the response is this error in the form of the dialect. */
export async function expectError(
  response: Response,
  { readError, types }: Speaker,
  status: number,
  code: string,
): Promise<void> {
  const error = readError(await response.text(), response.headers.get('content-type'))
  expect({ status: response.status, ...error }).toMatchObject({
    status,
    message: expect.stringMatching(/^.{10,400}\.$/),
    ...(error.code !== undefined && { code }),
    ...(types !== undefined && { type: types[status] }),
  })
  expect(response.headers.get('cache-control')).toBe('no-store')
}
