/** Names that clients choose for their chats, and that no id can have. */
import { idPattern } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { postJson, startServer } from '../support/server.ts'
import { expectError, post, type Speaker, speakers } from './support/speakers.ts'

const names = [
  '../../etc/passwd',
  '.',
  '..',
  '%2e%2e%2f',
  'a b',
  ' ',
  'a\r\ndata: x',
  '\0',
  '"}],"id":"x',
  "'; drop table runs; --",
  '__proto__:x',
  '你好 🌾',
  'é',
  'e\u0301',
  'x'.repeat(512),
  'channel/news',
  'own:a:b',
]

describe.each(
  speakers.filter(({ name }) => /AI SDK|AG-UI|TanStack/.test(name)).map((speaker) => [speaker.name, speaker] as const),
)('%s', (name, speaker) => {
  it('keeps a chat of any name in a session of its own', async () => {
    const { url, millrace, errors } = await startServer({ dialects: speaker.dialects })
    for (const [n, chat] of names.entries()) {
      // The second question of a chat is another one in its session.
      for (const id of [`${n}-1`, `${n}-2`]) {
        const response = await post(url, speaker, speaker.body({ chat, id, text: `${n}` }))
        const text = await response.text()
        expect([chat, response.status, text]).toEqual([chat, 200, expect.stringMatching(/finish|RUN_FINISHED/)])
        if (name !== 'AI SDK') expect(text).toContain(`"threadId":${JSON.stringify(chat)}`)
      }
      await expectHistory(url, speaker, chat, `${n}`)
    }
    const { sessions } = await millrace.sessions.list({ limit: 100 })
    expect(sessions.length).toBe(names.length)
    for (const { id } of sessions)
      expect([id, (await millrace.readSession(id))?.runs.length]).toEqual([expect.stringMatching(idPattern), 2])
    expect(errors).toEqual([])
  })

  it.each([
    ['empty', ''],
    ['too long', 'x'.repeat(513)],
  ])('rejects a name that is %s', async (_what, chat) => {
    const { url, millrace } = await startServer({ dialects: speaker.dialects })
    const response = await post(url, speaker, speaker.body({ chat }))
    await expectError(response, speaker, 400, 'invalid_id')
    expect((await millrace.sessions.list({ limit: 1 })).sessions).toEqual([])
  })
})

/** What a client that is opened again gets of the chat. */
async function expectHistory(url: string, { name }: Speaker, chat: string, text: string): Promise<void> {
  const encoded = encodeURIComponent(chat)
  // Of these no client can make a path.
  const isPath = chat !== '.' && chat !== '..'
  if (name === 'AI SDK' && isPath && !chat.startsWith('own:')) {
    const history = (await (await fetch(`${url}/ai/chat/${encoded}`)).json()) as { id: string; messages: unknown[] }
    // A question without what was said before begins another conversation.
    expect([history.id, history.messages.length]).toEqual([chat, 2])
    expect((await fetch(`${url}/ai/chat/${encoded}/stream`)).status).toBe(204)
  }
  if (name === 'TanStack AI') {
    const { messages } = (await (await fetch(`${url}/tanstack?threadId=${encoded}`)).json()) as { messages: object[] }
    expect(messages).toMatchObject([{ parts: [{ content: text }] }, {}, { parts: [{ content: text }] }, {}])
  }
}

it('are none of a session where a client names that itself', async () => {
  const { url, millrace } = await startServer({ dialects: ['openai', 'durable-streams'] })
  for (const name of names) {
    const encoded = encodeURIComponent(name)
    const all = [
      postJson(`${url}/v1/responses`, { input: 'x', conversation: name }),
      postJson(`${url}/v1/responses`, { input: 'x', previous_response_id: `resp_${name}.${name}` }),
      postJson(`${url}/v1/chat/completions`, {
        messages: [{ role: 'user', content: 'x' }],
        metadata: { millrace_session: name },
      }),
      postJson(`${url}/api/runs?session=${encoded}`, '', { 'content-type': 'text/plain' }),
      fetch(`${url}/ds/sessions/${encoded}`),
    ]
    for (const response of await Promise.all(all))
      expect([name, response.url, [400, 404]]).toEqual([name, response.url, expect.arrayContaining([response.status])])
  }
  expect((await millrace.sessions.list({ limit: 10 })).sessions).toEqual([])
})
