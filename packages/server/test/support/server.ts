/** A server on a free port that closes with the test. */
import { createMillrace, type Millrace, type MillraceOptions } from 'millrace'
import { onTestFinished } from 'vitest'

export interface TestServer {
  readonly millrace: Millrace
  readonly url: string
  readonly port: number
  /** Every error passed to `onError` so far. */
  readonly errors: unknown[]
}

export async function startServer(options: MillraceOptions = {}): Promise<TestServer> {
  const errors: unknown[] = []
  // A server that closes an idle connection may meet a request on it, where a busy machine wakes the test too late.
  const limits = { idleMs: 60_000, ...options.limits }
  const millrace = createMillrace({ model: 'sim:count?n=5&tps=0', onError: (error) => errors.push(error), ...options, limits })
  onTestFinished(() => millrace.close())
  const { url, port } = await millrace.listen({ port: 0 })
  return { millrace, url, port, errors }
}

export async function postJson(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
}

/** Starts a run without reading it. */
export async function startRun(
  url: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<{ session: string; run: string; position: string }> {
  const answer = await postJson(`${url}/api/chat`, body, { accept: 'application/json', ...headers })
  if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`)
  return (await answer.json()) as { session: string; run: string; position: string }
}
