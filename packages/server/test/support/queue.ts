/** A session in which one question is being answered, and others wait. */
import { type Millrace, memoryEngine } from 'millrace'
import { type GatedModel, gatedModel } from './gated-model.ts'
import { postJson, startRun, startServer, type TestServer } from './server.ts'

export const send = (method: string, url: string, body?: object, headers = {}) =>
  fetch(url, { method, headers: { 'content-type': 'application/json', ...headers }, ...(body && { body: JSON.stringify(body) }) })

export const add = (url: string, body: object, headers = {}) => send('POST', `${url}/api/sessions/s/queue`, body, headers)
export const move = (url: string, entry: string, body: object) => send('POST', `${url}/api/sessions/s/queue/${entry}/move`, body)
export const queueOf = async (millrace: Millrace) => (await millrace.readSession('s'))?.queue.map(({ query }) => query)
export const runsOf = async (millrace: Millrace) =>
  (await millrace.readSession('s'))?.runs.map(({ run, status }) => `${run} ${status}`)

export interface Busy extends TestServer {
  readonly model: GatedModel
}

/** A server with a session in which `first` is being answered. */
export async function startBusy(options = {}, headers = {}): Promise<Busy> {
  const model = gatedModel()
  const server = await startServer({ models: [model], model: 'gated', ...options })
  await postJson(`${server.url}/api/sessions`, { id: 's' }, headers)
  await startRun(server.url, { query: 'first', id: 'first', session: 's' }, headers)
  return { ...server, model }
}

/** `act` is called once, between the reading and the recording of what the event is about. */
export function meeting(type: string, act: () => Promise<unknown>) {
  const engine = memoryEngine()
  const append = engine.append.bind(engine)
  let hasMet = false
  const meet: typeof engine.append = async (log, events, options) => {
    if (!hasMet && events[0]?.type === type && (type !== 'stream_start' || (events[0].data as { run?: string }).run === 'two')) {
      hasMet = true
      await act()
    }
    return append(log, events, options)
  }
  return Object.assign(engine, { append: meet })
}
