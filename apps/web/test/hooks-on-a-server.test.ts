/** `@millrace/client/react` where React renders to a string: what was not read yet, and nothing is opened. */
import { type Client, connect, type Session } from '@millrace/client'
import { useChannel, useChat, useConnection, useRun } from '@millrace/client/react'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, test } from 'vitest'

function Conversation({ client, session }: { readonly client: Client; readonly session: Session }) {
  const { runs, pending, status } = useChat(session)
  const run = useRun(session, 'one') ?? null
  const { events } = useChannel(client.session('channel'))
  return JSON.stringify({ runs, pending, status, run, events, connection: useConnection(client) })
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
  const shown = JSON.parse(renderToString(createElement(Conversation, { client, session })).replaceAll('&quot;', '"'))
  expect(shown).toEqual({
    runs: [],
    pending: [],
    status: 'loading',
    run: null,
    events: [],
    connection: { state: 'idle', transport: 'sse', attempt: 0 },
  })
  expect({ requests, isRead: session.isRead, state: client.connection.current.state }).toEqual({
    requests: [],
    isRead: false,
    state: 'idle',
  })
  client.close()
})
