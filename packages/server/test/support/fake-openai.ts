/** A real HTTP server on this machine that plays a script in the part of OpenAI's protocol that LangChain uses. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** One step: a delta, raw bytes, or a pause until the gate is opened. */
export type Step =
  | { readonly delta: Record<string, unknown> }
  | { readonly finish: string }
  | { readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number } }
  | { readonly raw: string }
  | { readonly gate: Promise<void> }
  | 'hang'
  | 'cut'
  /** Ends the body without `[DONE]`. */
  | 'end'

export interface FakeOpenAi {
  /** Base URL of the API, with `/v1`. */
  readonly url: string
  readonly requests: {
    readonly body: {
      messages: { role: string; content: string; tool_call_id?: string }[]
      tools?: { function: { name: string } }[]
      model: string
    }
    readonly closed: Promise<void>
  }[]
}

export interface FakeOpenAiOptions {
  readonly script?: readonly Step[]
  /** One for each request, the last also for all after it; in place of `script`. */
  readonly scripts?: readonly (readonly Step[])[]
  /** Rejects every request with this status. */
  readonly status?: number
  /** The code in the body of an error; default `x`. */
  readonly code?: string
  /** The response to GET /v1/models; default one model, `fake`. */
  readonly models?: unknown
}

export async function startFakeOpenAi({
  script = [],
  scripts = [script],
  status = 200,
  code = 'x',
  models,
}: FakeOpenAiOptions): Promise<FakeOpenAi> {
  const requests: FakeOpenAi['requests'] = []
  const server = createServer((request, response) => {
    void answer().catch(() => response.destroy())

    async function answer(): Promise<void> {
      if (request.url === '/v1/models') {
        response.setHeader('content-type', 'application/json')
        response.end(
          typeof models === 'string'
            ? models
            : JSON.stringify(models ?? { object: 'list', data: [{ id: 'fake', object: 'model' }] }),
        )
        return
      }
      let body = ''
      for await (const chunk of request) body += String(chunk)
      requests.push({ body: JSON.parse(body), closed: once(response, 'close').then(() => {}) })
      if (status !== 200) {
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ error: { message: 'secret detail sk-123', type: 'error', code } }))
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const played = scripts[Math.min(requests.length, scripts.length) - 1] ?? []
      for (const step of played) if (!(await play(step, response))) return
      response.end('data: [DONE]\n\n')
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, requests }
}

/** Returns false if the response ends here. */
async function play(step: Step, response: ServerResponse): Promise<boolean> {
  if (step === 'hang') return false
  if (step === 'end') {
    response.end()
    return false
  }
  if (step === 'cut') {
    // After the last chunk, and without the one that ends the body.
    response.socket?.destroySoon()
    return false
  }
  if ('gate' in step) await step.gate
  else if ('raw' in step) response.write(step.raw)
  else response.write(`data: ${JSON.stringify(chunk(step))}\n\n`)
  return true
}

function chunk(step: Extract<Step, object>): object {
  const base = { id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'fake' }
  if ('usage' in step) {
    const { prompt_tokens, completion_tokens } = step.usage
    return { ...base, choices: [], usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens } }
  }
  const delta = 'delta' in step ? step.delta : {}
  return { ...base, choices: [{ index: 0, delta, finish_reason: 'finish' in step ? step.finish : null }] }
}
