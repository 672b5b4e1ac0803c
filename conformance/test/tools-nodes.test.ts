/**
 * A real model of LangChain calls two tools side by side, of which one needs approval. The server is killed while it waits, and
 * another one started. The approval comes over another connection; the run goes on, and a reader from before sees it all.
 */
import { connect, type TransportName } from '@millrace/client'
import { type Chat, chatOf } from '@millrace/client/chat'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Step, startFakeOpenAi } from '../../packages/server/test/support/fake-openai.ts'
import { patientTimings } from '../src/client/world.ts'
import { makeFolder } from '../src/faults/folder.ts'
import { startWithTools } from '../src/faults/server-process.ts'
import { overHybrid, overPoll, overSse, overWebSocket, startRedis, type WireReader } from '../src/index.ts'
import { until } from './support/chat.ts'

const redis = await startRedis()
afterAll(() => redis.close())

const begin = (index: number, name: string) => ({
  index,
  id: `call_${name}`,
  type: 'function',
  function: { name, arguments: '' },
})
const more = (index: number, text: string) => ({ index, function: { arguments: text } })
const calls = (...pieces: object[]) => ({ delta: { tool_calls: pieces } })

/** Calls both tools, in pieces that alternate; with their results it answers. */
const scripts: Step[][] = [
  [
    { delta: { role: 'assistant', content: 'Let me see. ' } },
    calls(begin(0, 'weather'), more(0, '{"city":')),
    calls(begin(1, 'pay'), more(0, '"Hefei"}'), more(1, '{"to":"bob",')),
    calls(more(1, '"amount":5}')),
    { finish: 'tool_calls' },
  ],
  [...['All ', 'is ', 'done.'].map((content): Step => ({ delta: { role: 'assistant', content } })), { finish: 'stop' }],
]

interface Seen {
  readonly event: string
  readonly data: { readonly text?: string; readonly arguments?: unknown; readonly call?: string }
}

/** All events of the session up to the second end of a run. A long-poll merges pieces of one text, so that all are merged here. */
async function readAll(read: WireReader, url: string, session: string): Promise<Seen[]> {
  const abort = new AbortController()
  const events: Seen[] = []
  for await (const { event, data } of read({ url, source: { session }, from: 'start', signal: abort.signal })) {
    const next = { event, data: data as Seen['data'] }
    const last = events.at(-1)
    const isMore = last?.event === event && last.data.call === next.data.call
    if (isMore && event === 'message') events[events.length - 1] = merged(last, next, 'text')
    else if (isMore && event === 'tool_call_delta') events[events.length - 1] = merged(last, next, 'arguments')
    else events.push(next)
    if (events.filter((one) => one.event === 'stream_end').length === 2) break
  }
  abort.abort()
  return events
}

function merged(a: Seen, b: Seen, field: 'text' | 'arguments'): Seen {
  return { ...a, data: { ...a.data, [field]: `${String(a.data[field])}${String(b.data[field])}` } }
}

const isWaiting = ({ runs }: Chat) => runs[0]?.status === 'waiting'
const isCompleted = ({ runs }: Chat) => runs[0]?.status === 'completed'

describe.each([
  ['SQLite', () => makeFolder()],
  ['Redis', () => redis.url],
])('over %s', (_engine, logsOf) => {
  it.each<[TransportName, WireReader]>([
    ['sse', overSse],
    ['ws', overWebSocket],
    ['hybrid', overHybrid],
    ['poll', overPoll],
  ])('a reader by %s sees the run wait, its server die, the approval, and the end', async (transport, read) => {
    const provider = await startFakeOpenAi({ scripts })
    const server = await startWithTools(logsOf(), provider.url)
    const client = connect(server.url, { transport, timings: patientTimings })
    onTestFinished(() => client.close())
    const session = client.session()
    const store = chatOf(session)
    onTestFinished(store.subscribe(() => {}))
    const { run } = await session.run({ query: 'Pay bob if it is warm in Hefei.', models: ['model'] })
    const before = await until(store, isWaiting)
    const pidBefore = server.pid
    expect(before.runs[0]?.lanes[0]?.parts).toMatchObject([
      { type: 'text', text: 'Let me see. ' },
      { type: 'tool', name: 'weather', state: 'done', value: { city: 'Hefei', celsius: 31, by: pidBefore } },
      { type: 'tool', name: 'pay', arguments: { to: 'bob', amount: 5 }, state: 'waiting', approval: expect.any(String) },
    ])

    await server.end('SIGKILL')
    await server.restart()
    // Another connection, which knows the approval from the conversation alone.
    const { runs } = (await (await fetch(`${server.url}/api/sessions/${session.id}`)).json()) as Pick<Chat, 'runs'>
    const pending = runs[0]?.lanes[0]?.parts.find((part) => part.type === 'tool' && part.state === 'waiting')
    const approval = pending?.type === 'tool' ? pending.approval : undefined
    const response = await fetch(`${server.url}/api/runs/${run}/decisions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ session: session.id, decisions: [{ approval, decision: 'approve' }] }),
    })
    expect(await response.json()).toMatchObject({ run, waiting: [], continuedBy: expect.any(String) })

    const after = await until(store, isCompleted)
    expect(after.runs).toHaveLength(1)
    expect(after.runs[0]?.lanes[0]).toMatchObject({ text: 'Let me see. All is done.', status: 'completed' })
    expect(after.runs[0]?.lanes[0]?.parts).toMatchObject([
      { type: 'text', text: 'Let me see. ' },
      { type: 'tool', name: 'weather', state: 'done', value: { by: pidBefore } },
      {
        type: 'tool',
        name: 'pay',
        state: 'done',
        value: { paid: 5, to: 'bob', by: server.pid },
        decision: { decision: 'approve' },
      },
      { type: 'text', text: 'All is done.' },
    ])
    expect(server.pid).not.toBe(pidBefore)
    // The provider was asked twice, the second time with both results.
    const asked = provider.requests.map(({ body }) => body)
    expect(asked.map(({ tools }) => tools?.map((tool) => tool.function.name))).toEqual([
      ['weather', 'pay'],
      ['weather', 'pay'],
    ])
    expect(asked[1]?.messages.map(({ role, tool_call_id }) => tool_call_id ?? role)).toEqual([
      'user',
      'assistant',
      'call_weather',
      'call_pay',
    ])
    // A reader that comes later gets the same events, by any transport.
    const [here, plain] = await Promise.all([readAll(read, server.url, session.id), readAll(overSse, server.url, session.id)])
    expect(here).toEqual(plain)
    expect(here.map(({ event }) => event)).toEqual([
      'stream_start',
      'message',
      'tool_call_start',
      'tool_call_delta',
      'tool_call_start',
      'tool_call_delta',
      'tool_call_delta',
      'tool_call',
      'tool_call',
      'tool_result',
      'approval_request',
      'stream_end',
      'tool_decision',
      'stream_start',
      'tool_call',
      'tool_result',
      'message',
      'stream_end',
    ])
  })
})
