/** `@millrace/client/react` where React renders to a string: what was not read yet, and nothing is opened. */
import { type Client, connect, type Session, type Transcript } from '@millrace/client'
import { chatOf } from '@millrace/client/chat'
import { useChannel, useChat, useConnection, useRun } from '@millrace/client/react'
import { createMillrace } from 'millrace'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, onTestFinished, test } from 'vitest'

interface Props {
  readonly client: Client
  readonly session: Session
  readonly transcript?: Transcript
}

function Conversation({ client, session, transcript }: Props) {
  const { runs, pending, status } = useChat(session, transcript && { transcript })
  const run = useRun(session, 'one') ?? null
  const { events } = useChannel(client.session('channel'))
  return JSON.stringify({ runs, pending, status, run, events, connection: useConnection(client) })
}

function render(props: Props): { readonly runs: Transcript['runs'] } {
  return JSON.parse(renderToString(createElement(Conversation, props)).replaceAll('&quot;', '"'))
}

test('renders an empty conversation that is loading, and asks the network for nothing', () => {
  const requests: unknown[] = []
  const client = connect('http://127.0.0.1:1', {
    fetch: (request) => {
      requests.push(request)
      return Promise.reject(new TypeError('not from here'))
    },
  })
  const session = client.session('known')
  const shown = render({ client, session })
  expect(shown).toEqual({
    runs: [],
    pending: [],
    status: 'loading',
    run: null,
    events: [],
    connection: { state: 'idle', transport: 'sse', attempt: 0, isLeading: true, lost: 0, repeated: 0, resumed: 0 },
  })
  expect({ requests, isRead: session.isBeingRead, state: client.connection.current.state }).toEqual({
    requests: [],
    isRead: false,
    state: 'idle',
  })
  client.close()
})

test('waits where it has no address, until its signal or its deadline', async () => {
  const client = connect(undefined, { timings: { requestMs: 50, commandMs: 50 } })
  onTestFinished(() => client.close())
  const session = client.session()
  const abort = new AbortController()
  const reading = client.session('known').events({ signal: abort.signal }).next()
  await expect(session.read()).rejects.toMatchObject({ code: 'deadline_exceeded' })
  await expect(session.run({ query: 'x' })).rejects.toMatchObject({ code: 'deadline_exceeded' })
  expect(client.connection.current).toMatchObject({ state: 'connecting', attempt: 0 })
  abort.abort()
  expect(await reading).toMatchObject({ done: true })
  await expect(connect('/').session().read()).rejects.toMatchObject({ code: 'unreachable', retryable: false })
})

test('renders what the server has read, each request its own, also of one session and without an address', () => {
  const client = connect('.')
  const session = client.session()
  const transcriptOf = (text: string): Transcript => ({
    id: 's',
    position: 'k3f9a2xq-3',
    complete: true,
    runs: [
      {
        run: 'one',
        query: 'q',
        startedAt: 1,
        status: 'completed',
        lanes: [{ lane: 'a', model: 'a', text, reasoning: '', data: [], files: [], parts: [], status: 'completed' }],
      },
    ],
  })
  for (const text of ['mine', 'yours'])
    expect(render({ client, session, transcript: transcriptOf(text) }).runs).toMatchObject([{ lanes: [{ text }] }])
  expect(render({ client, session }).runs).toEqual([])
})

test('reads on from the transcript that it was given, without reading another', async () => {
  const millrace = createMillrace({ model: 'sim:count?n=3&tps=0' })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const onServer = connect(url)
  await millrace.engine.append('s', [])
  const first = await onServer.session('s').run({ query: '1' })
  await expect.poll(() => millrace.findRun(first.run)?.end).toBeDefined()
  const transcript = await onServer.session('s').read()
  onServer.close()
  const requests: string[] = []
  const client = connect(url, {
    fetch(address, request) {
      requests.push((address as URL).pathname)
      return fetch(address, request)
    },
  })
  onTestFinished(() => client.close())
  const store = chatOf(client.session('s'), { transcript })
  expect(store.current).toMatchObject({ status: 'loading', runs: [{ run: first.run }] })
  onTestFinished(store.subscribe(() => {}))
  await store.current.ask('2')
  await expect.poll(() => store.current.runs.map(({ status }) => status)).toEqual(['completed', 'completed'])
  expect(requests).not.toContain('/api/sessions/s')
  // Of what is known already nothing is taken back.
  chatOf(client.session('s'), { transcript })
  expect(store.current.runs).toHaveLength(2)
})
