/** The parts of an answer: in the log, in each rendering, merged, and in the conversation. PROTOCOL.md#parts. */
import { setTimeout } from 'node:timers/promises'
import { type Model, type ModelPart, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { makeFolder } from './support/process.ts'
import { startServer } from './support/server.ts'
import { openSqlite } from './support/sqlite.ts'

const answer: ModelPart[] = [
  { reasoning: 'Hm' },
  { reasoning: '.' },
  'Let me ',
  'look.',
  { toolCallStart: { id: 'c1', name: 'weather' } },
  { toolCallDelta: { id: 'c1', arguments: '{"city":' } },
  { toolCallDelta: { id: 'c1', arguments: '"Hefei"}' } },
  { toolCall: { id: 'c1', name: 'weather', arguments: { city: 'Hefei' }, by: 'model' } },
  { toolResult: { call: 'c1', value: 'soon', preliminary: true } },
  { toolResult: { call: 'c1', value: { celsius: 31 } } },
  { source: { source: 's1', url: 'https://example.com/w', title: 'Weather' } },
  'It is ',
  '31.',
]

/** As bytes, so that a change of the wire is seen here. */
const golden = {
  session: [
    'reasoning {"run":"r","lane":"app","reasoning":"Hm"}',
    'reasoning {"run":"r","lane":"app","reasoning":"."}',
    'message {"run":"r","lane":"app","part":1,"text":"Let me "}',
    'message {"run":"r","lane":"app","part":1,"text":"look."}',
    'tool_call_start {"run":"r","lane":"app","call":"c1","name":"weather"}',
    'tool_call_delta {"run":"r","lane":"app","call":"c1","arguments":"{\\"city\\":"}',
    'tool_call_delta {"run":"r","lane":"app","call":"c1","arguments":"\\"Hefei\\"}"}',
    'tool_call {"run":"r","lane":"app","call":"c1","name":"weather","arguments":{"city":"Hefei"},"by":"model"}',
    'tool_result {"run":"r","lane":"app","call":"c1","value":"soon","preliminary":true}',
    'tool_result {"run":"r","lane":"app","call":"c1","value":{"celsius":31}}',
    'source {"run":"r","lane":"app","source":"s1","url":"https://example.com/w","title":"Weather"}',
    'message {"run":"r","lane":"app","part":4,"text":"It is "}',
    'message {"run":"r","lane":"app","part":4,"text":"31."}',
  ],
  chat: [
    'reasoning {"reasoning":"Hm"}',
    'reasoning {"reasoning":"."}',
    'message {"text":"Let me "}',
    'message {"text":"look."}',
    'tool_call_start {"call":"c1","name":"weather"}',
    'tool_call_delta {"call":"c1","arguments":"{\\"city\\":"}',
    'tool_call_delta {"call":"c1","arguments":"\\"Hefei\\"}"}',
    'tool_call {"call":"c1","name":"weather","arguments":{"city":"Hefei"},"by":"model"}',
    'tool_result {"call":"c1","value":"soon","preliminary":true}',
    'tool_result {"call":"c1","value":{"celsius":31}}',
    'source {"source":"s1","url":"https://example.com/w","title":"Weather"}',
    'message {"text":"It is "}',
    'message {"text":"31."}',
  ],
}

const parts = [
  { type: 'reasoning', text: 'Hm.' },
  { type: 'text', text: 'Let me look.' },
  { type: 'tool', call: 'c1', name: 'weather', arguments: { city: 'Hefei' }, by: 'model', state: 'done', value: { celsius: 31 } },
  { type: 'source', source: 's1', url: 'https://example.com/w', title: 'Weather' },
  { type: 'text', text: 'It is 31.' },
]

const isContent = (line: string) => !/^(stream_start|stream_end|heartbeat) /.test(line)

/** `event data` of each frame, until the stream ends or `last` was read. */
async function linesOf(response: Response, last?: string): Promise<string[]> {
  const lines: string[] = []
  let text = ''
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += chunk
    const frames = text.split('\n\n')
    text = frames.pop() ?? ''
    for (const frame of frames) {
      const event = /^event: (.*)$/m.exec(frame)?.[1]
      if (event === undefined) continue
      lines.push(`${event} ${/^data: (.*)$/m.exec(frame)?.[1]}`)
      if (event === last) return lines
    }
  }
  return lines
}

async function played() {
  const { url, millrace } = await startServer()
  const run = await millrace.run({ session: 's', id: 'r', query: 'x', source: answer })
  await run.ended
  return { url, millrace }
}

describe('the parts of an answer', () => {
  it('are numbered in the log, and the first one costs nothing', async () => {
    const { url } = await played()
    const lines = await linesOf(await fetch(`${url}/api/stream?session=s`), 'stream_end')
    expect(lines.filter(isContent)).toEqual(golden.session)
  })

  it('read in the chat rendering without run and lane', async () => {
    const { url } = await startServer({
      models: [
        {
          name: 'm',
          stream: () =>
            (async function* () {
              yield* answer
            })(),
        },
      ],
    })
    const lines = await linesOf(await fetch(`${url}/api/chat?query=x&model=m`))
    expect(lines.filter(isContent)).toEqual(golden.chat)
  })

  it('are merged for a reader that is behind, and never across a part', async () => {
    const { url, millrace } = await startServer()
    const many = Array.from({ length: 100 }, (_, index) => `${index} `)
    const pieces = many.map((piece): ModelPart => ({ toolCallDelta: { id: 'c', arguments: piece } }))
    const source: ModelPart[] = [...many, { toolCallStart: { id: 'c', name: 'n' } }, ...pieces, { reasoning: 'r' }, ...many]
    await (await millrace.run({ session: 's', id: 'r', query: 'x', source })).ended
    const { events } = (await (await fetch(`${url}/api/stream?session=s&live=poll`)).json()) as {
      events: { event: string; data: object }[]
    }
    const all = many.join('')
    expect(events.map(({ event, data }) => ({ event, ...data })).slice(1, -1)).toEqual([
      { event: 'message', run: 'r', lane: 'app', text: all },
      { event: 'tool_call_start', run: 'r', lane: 'app', call: 'c', name: 'n' },
      { event: 'tool_call_delta', run: 'r', lane: 'app', call: 'c', arguments: all },
      { event: 'reasoning', run: 'r', lane: 'app', part: 2, reasoning: 'r' },
      { event: 'message', run: 'r', lane: 'app', part: 3, text: all },
    ])
  })

  it('are the conversation, beside its text', async () => {
    const { millrace, url } = await played()
    const [lane] = (await millrace.readSession('s'))?.runs[0]?.lanes ?? []
    expect(lane).toMatchObject({ text: 'Let me look.It is 31.', reasoning: 'Hm.', parts })
    const markdown = await (await fetch(`${url}/api/sessions/s/export`)).text()
    expect(markdown).toContain(
      'Let me look.\n\n*weather* ` {"city":"Hefei"} `: ` {"celsius":31} `\n\nWeather, https://example.com/w\n\nIt is 31.',
    )
  })

  it.each([
    ['in memory', () => memoryEngine()],
    ['in SQLite, also packed', () => openSqlite(makeFolder()).engine],
  ])('are the same when they are read from the log of a run that was written without them: %s', async (_where, open) => {
    const engine = open()
    const { millrace } = await startServer({ engine })
    const lanes = [{ lane: 'a', model: 'a' }]
    const end = {
      status: 'completed',
      usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
      timings: { firstTokenMs: 1, durationMs: 1 },
    }
    const old = Array.from({ length: 20 }, (_, index) => ({
      type: index < 10 ? 'reasoning' : 'message',
      data: { run: 'r', lane: 'a', [index < 10 ? 'reasoning' : 'text']: `${index} ` },
    }))
    await engine.append('s', [
      { type: 'stream_start', data: { run: 'r', session: 's', query: 'x', lanes } },
      ...old,
      { type: 'stream_end', data: { run: 'r', ...end } },
    ])
    await engine.compact?.('s')
    const [lane] = (await millrace.readSession('s'))?.runs[0]?.lanes ?? []
    expect(lane?.parts).toEqual([
      { type: 'reasoning', text: '0 1 2 3 4 5 6 7 8 9 ' },
      { type: 'text', text: '10 11 12 13 14 15 16 17 18 19 ' },
    ])
  })
})

describe('the time of reasoning', () => {
  it('is measured by the server, up to what follows it, and is in the conversation', async () => {
    const model: Model = {
      name: 'm',
      async *stream() {
        yield { reasoning: 'so' }
        await setTimeout(60)
        yield 'a'
        await setTimeout(60)
        yield 'b'
      },
    }
    const { millrace } = await startServer({ models: [model] })
    const run = await millrace.ask({ query: 'x', models: ['m'] })
    const { timings } = await run.ended
    expect(timings.reasoningMs).toBeGreaterThan(50)
    expect(timings.reasoningMs).toBeLessThan(timings.durationMs)
    expect((await millrace.readSession(run.session))?.runs[0]?.lanes[0]?.timings).toEqual(timings)
    const plain = await millrace.ask({ query: 'x', models: ['sim:count?n=3&tps=0'] })
    expect((await plain.ended).timings).not.toHaveProperty('reasoningMs')
  })
})

describe('calls of tools', () => {
  it('have ids that are unique in the run, whatever the model calls them', async () => {
    const { millrace } = await startServer()
    const call = (value: number): ModelPart[] => [
      { toolCall: { id: 'call_0', name: 'n', arguments: {}, by: 'model' } },
      { toolResult: { call: 'call_0', value } },
    ]
    await (await millrace.run({ session: 's', query: 'x', source: [...call(1), ...call(2)] })).ended
    const [lane] = (await millrace.readSession('s'))?.runs[0]?.lanes ?? []
    expect(lane?.parts).toMatchObject([
      { call: 'call_0', value: 1 },
      { call: 'call_0#2', value: 2 },
    ])
  })

  it.each<[string, unknown]>([
    ['no id', { toolCall: { name: 'n', arguments: {} } }],
    ['an id with a line end', { toolCall: { id: 'a\nb', name: 'n', arguments: {} } }],
    ['a name that is none', { toolCall: { id: 'a', name: 'n n', arguments: {} } }],
    ['arguments that are not JSON', { toolCall: { id: 'a', name: 'n', arguments: { x: 1n } } }],
    [
      'arguments too deep for JSON',
      { toolCall: { id: 'a', name: 'n', arguments: JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`) } },
    ],
    ['a result that is too large', { toolResult: { call: 'a', value: 'x'.repeat(200_000) } }],
    ['a source that is code', { source: { source: 'a', url: 'javascript:alert(1)' } }],
    ['a piece that is no text', { toolCallDelta: { id: 'a', arguments: 1 } }],
  ])('with %s fail the lane, and keep what was said', async (_what, part) => {
    const { millrace } = await startServer()
    const run = await millrace.run({ session: 's', query: 'x', source: ['before', part as ModelPart] })
    expect(await run.ended).toMatchObject({ status: 'failed', error: { code: 'model_failed' } })
    expect((await millrace.readSession('s'))?.runs[0]?.lanes[0]?.text).toBe('before')
  })
})
