/**
 * Inserts provider-stream.ts between a LangChain model and its provider. It looks at the model's fields and not at its
 * name: packages of OpenAI's protocol keep their `fetch` in the settings of OpenAI's client, in a client that exists
 * already, or in an `httpClient`. A model without any of them is left unchanged.
 *
 * It also writes the parameters of a run into the request.
 *
 * The model belongs to the host, who may use it elsewhere: outside of a watched call the inserted `fetch` does nothing.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { MillraceError } from '@millrace/protocol'
import { asFields, type Fields } from './provider-chunk.ts'
import { type ProviderReport, readProviderStream } from './provider-stream.ts'

type Fetch = typeof fetch

interface Watch {
  readonly report: ProviderReport
  /** Aborts when the answer is no longer needed. */
  readonly signal: AbortSignal
  /** Changes the body of a request for an answer; absent where it is sent as it is. */
  readonly amend?: ((body: Fields, url: URL) => Fields) | undefined
}

const watches = new AsyncLocalStorage<Watch>()
const installed = new WeakSet<object>()

/** Iterates what `open` returns; the provider's stream that it fetches goes into the report. */
export async function* watch<T>(chatModel: object, current: Watch, open: () => AsyncIterable<T>): AsyncGenerator<T> {
  // OpenAI's model delegates to one of two others, for its two APIs.
  for (const each of [chatModel, Reflect.get(chatModel, 'completions'), Reflect.get(chatModel, 'responses')]) installIn(each)
  const { amend } = current
  let isAmended = amend === undefined
  const watched: Watch = {
    ...current,
    amend:
      amend &&
      ((body, url) => {
        isAmended = true
        return amend(body, url)
      }),
  }
  const iterator = watches.run(watched, () => open()[Symbol.asyncIterator]())
  try {
    for (;;) {
      const { done, value } = await watches.run(watched, () => iterator.next())
      if (done) return
      // A model with a client of its own: an answer without its parameters would look like one with them.
      if (!isAmended) throw new MillraceError('param_not_supported')
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}

function installIn(chatModel: unknown): void {
  const { clientConfig, client, httpClient, caller } = asFields(chatModel)
  replace(clientConfig, 'fetch', (own = fetch) => watching(own as Fetch))
  if (asFields(client).fetch !== undefined) replace(client, 'fetch', (own) => watching(own as Fetch))
  // A model with `maxConcurrency` starts a queued call when another ends, and would start it in that call's context.
  replace(asFields(caller).queue, 'add', (own) => (task: () => unknown, ...rest: unknown[]) => {
    return Reflect.apply(own as () => unknown, asFields(caller).queue, [AsyncLocalStorage.bind(task), ...rest])
  })
  // Mistral's reads lists itself and ignores the signal. Unless the host sets a client, its SDK creates one for each call.
  if (!('httpClient' in asFields(chatModel))) return
  const sender = (httpClient ?? { request: fetch }) as { request: Fetch }
  replace(sender, 'request', (own) => {
    const send = watching((request) => Reflect.apply(own as Fetch, sender, [request]), true)
    return (request: Request) => send(withSignal(request))
  })
  Reflect.set(chatModel as object, 'httpClient', sender)
}

function withSignal(request: Request): Request {
  const { signal } = watches.getStore() ?? {}
  return signal === undefined ? request : new Request(request, { signal: AbortSignal.any([request.signal, signal]) })
}

function watching(own: Fetch, readsLists = false): Fetch {
  return async (...request) => {
    const { report, amend } = watches.getStore() ?? {}
    const [input, init] = amend === undefined ? request : await amended(amend, ...request)
    // A redirect would send the conversation to an address that nobody has configured, such as one inside the network.
    const response = await own(input, report === undefined ? init : { ...init, redirect: 'error' })
    if (report === undefined || response.body === null || !response.ok || !asksForStream(input, init)) return response
    return readProviderStream(response, report, { readsLists })
  }
}

async function amended(amend: NonNullable<Watch['amend']>, ...[input, init]: Parameters<Fetch>): Promise<Parameters<Fetch>> {
  const url = new URL(input instanceof Request ? input.url : input)
  const text = input instanceof Request ? await input.clone().text() : init?.body
  if (!isAnswer(url) || typeof text !== 'string') return [input, init]
  const body = JSON.stringify(amend(asFields(JSON.parse(text)), url))
  if (input instanceof Request) return [new Request(input, { method: 'POST', body }), init]
  const headers = new Headers(init?.headers)
  headers.delete('content-length')
  return [input, { ...init, headers, body }]
}

function isAnswer({ pathname }: URL): boolean {
  return /\/(chat\/completions|responses)$/.test(pathname)
}

/** Other APIs, and responses that are not streams, are left alone. */
function asksForStream(...[input, init = {}]: Parameters<Fetch>): boolean {
  if (!isAnswer(new URL(input instanceof Request ? input.url : input))) return false
  if (input instanceof Request) return input.headers.get('accept')?.includes('event-stream') ?? false
  return typeof init.body === 'string' && /"stream"\s*:\s*true/.test(init.body)
}

/** Once, however often it is called. */
function replace(holder: unknown, key: string, make: (own: unknown) => object): void {
  if (typeof holder !== 'object' || holder === null) return
  const own: unknown = Reflect.get(holder, key)
  if (typeof own === 'function' && installed.has(own)) return
  const made = make(own)
  installed.add(made)
  Reflect.set(holder, key, made)
}
