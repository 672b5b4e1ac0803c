/** Runs whose answers come from outside, as the body of a request: PROTOCOL.md#producers. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { ndjson, openProducer, type ProducerOptions, produce, producer } from './support/producer.ts'
import { startServer } from './support/server.ts'
import { secret, sign } from './support/tokens.ts'

const hello = [{ text: 'Hel' }, { text: 'lo' }, { reasoning: 'why' }, { text: ' world' }]

async function answerOf({ millrace }: Awaited<ReturnType<typeof startServer>>, session: string | undefined) {
  const runs = (await millrace.readSession(session ?? ''))?.runs ?? []
  return runs.map(({ run, query, status, continues, lanes }) => ({
    run,
    query,
    status,
    ...(continues !== undefined && { continues }),
    text: lanes.map(({ text }) => text).join('|'),
  }))
}

describe('a run whose answer comes from outside', () => {
  it('has the lines of the body, as they arrive', async () => {
    const server = await startServer()
    const opened = openProducer(server.url, { query: { session: 's', query: 'Hi?' } })
    await opened.send(...hello)
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ status: 'streaming', query: 'Hi?', text: 'Hello world' }])
    await opened.send(
      { data: { name: 'note', value: [1] } },
      { end: { usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 } } },
    )
    const { status, json } = await opened.end()
    expect({ status, json }).toMatchObject({ status: 200, json: { session: 's', next: 6, end: { status: 'completed' } } })
    expect((await server.millrace.readSession('s'))?.runs[0]?.lanes[0]).toMatchObject({
      lane: 'app',
      text: 'Hello world',
      reasoning: 'why',
      data: [{ name: 'note', value: [1] }],
      usage: { totalTokens: 3 },
    })
  })

  it('can have its question in the first line', async () => {
    const server = await startServer()
    const { json } = await produce(server.url, [{ query: 'Why?' }, { text: 'So.' }, { end: true }])
    expect(await answerOf(server, json.session)).toMatchObject([{ query: 'Why?', text: 'So.', status: 'completed' }])
  })

  it('can be plain text, also without a type', async () => {
    const server = await startServer()
    for (const headers of [{ 'content-type': 'text/plain; charset=utf-8' }, {}] as Record<string, string>[]) {
      const { json } = await produce(server.url, ['你', '好\n'], { headers, query: { query: 'q' } })
      expect(await answerOf(server, json.session)).toMatchObject([{ text: '你好\n', status: 'completed' }])
    }
  })
})

describe('a producer that was cut', () => {
  it('goes on where it stopped, and a line that comes again is dropped', async () => {
    const server = await startServer()
    const query = { session: 's', id: 'r', query: 'q' }
    const first = openProducer(server.url, { query, headers: producer('p', 0) })
    await first.send(...hello.slice(0, 2))
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ text: 'Hello' }])
    first.cut()
    const gap = await produce(server.url, [{ text: '!' }], { query: { id: 'r' }, headers: producer('p', 3) })
    expect([gap.status, gap.json.error?.code, gap.headers['producer-expected-seq']]).toEqual([409, 'producer_gap', '2'])
    const { status, json } = await produce(server.url, [...hello, { end: true }], { query, headers: producer('p', 0) })
    expect({ status, json }).toMatchObject({ status: 200, json: { next: 5, end: { status: 'completed' } } })
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'Hello world', status: 'completed' }])
  })

  it('asks with an empty body which line comes next, and keeps the run for itself', async () => {
    const server = await startServer()
    const query = { session: 's', id: 'r' }
    const begun = await produce(server.url, hello.slice(0, 3), { query, headers: producer('p', 0) })
    expect(begun).toMatchObject({ status: 200, json: { run: 'r', next: 3 } })
    expect(begun.json.end).toBeUndefined()
    const asked = await produce(server.url, [], { query, headers: producer('p', 0) })
    expect(asked).toMatchObject({ status: 200, json: { next: 3 } })
    const other = await produce(server.url, [{ text: 'x' }], { query, headers: producer('other', 3) })
    expect([other.status, other.json.error?.code]).toEqual([409, 'run_conflict'])
    expect((await produce(server.url, [{ end: true }], { query, headers: producer('p', 3) })).json.end?.status).toBe('completed')
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'Hello' }])
  })

  it('is fenced by one with a higher epoch, which ends its connection', async () => {
    const server = await startServer()
    const query = { session: 's', id: 'r' }
    const old = openProducer(server.url, { query, headers: producer('p', 0, 1) })
    await old.send({ text: 'a' })
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ text: 'a' }])
    const young = openProducer(server.url, { query, headers: producer('p', 1, 2) })
    const fenced = await old.answer
    expect([fenced.status, fenced.json.error?.code, fenced.headers['producer-epoch']]).toEqual([403, 'producer_fenced', '2'])
    await young.send({ text: 'b' }, { end: true })
    expect((await young.end()).json.end?.status).toBe('completed')
    const late = await produce(server.url, [{ text: 'c' }], { query, headers: producer('p', 1, 1) })
    expect([late.status, late.json.error?.code]).toEqual([403, 'producer_fenced'])
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'ab', status: 'completed' }])
  })

  it('gets the same response again where it was lost', async () => {
    const server = await startServer()
    const options = { query: { session: 's', id: 'r', query: 'q' }, headers: producer('p', 0) }
    const first = await produce(server.url, [...hello, { end: true }], options)
    expect(await produce(server.url, [...hello, { end: true }], options)).toMatchObject({ status: 200, json: first.json })
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'Hello world' }])
  })

  it('that does not come back ends its run with what it had sent', async () => {
    const server = await startServer({ limits: { producerMsMax: 20 } })
    const query = { session: 's', id: 'r' }
    await produce(server.url, hello, { query, headers: producer('p', 0) })
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ status: 'failed', text: 'Hello world' }])
    expect((await server.millrace.readSession('s'))?.runs[0]?.error?.code).toBe('producer_lost')
    const late = await produce(server.url, [{ text: '!' }], { query, headers: producer('p', 4) })
    expect([late.status, late.json.error?.code]).toEqual([409, 'run_ended'])
    const rest = { query: { id: 'r2', continues: 'r' }, headers: producer('p', 0) }
    expect(await produce(server.url, [{ text: '!' }, { end: true }], rest)).toMatchObject({ status: 200, json: { session: 's' } })
    expect((await answerOf(server, 's'))[1]).toMatchObject({ run: 'r2', continues: 'r', text: '!', status: 'completed' })
  })

  it('without a name ends its run', async () => {
    const server = await startServer()
    const opened = openProducer(server.url, { query: { session: 's', query: 'q' } })
    await opened.send({ text: 'a' })
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ text: 'a' }])
    opened.cut()
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ text: 'a', status: 'failed' }])
    expect((await server.millrace.readSession('s'))?.runs[0]?.error?.code).toBe('producer_lost')
  })
})

describe('a run that ends before its producer', () => {
  it('ends its request at once: it was stopped', async () => {
    const server = await startServer()
    const opened = openProducer(server.url, { query: { session: 's', id: 'r', query: 'q' } })
    await opened.send({ text: 'a' })
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ text: 'a' }])
    await fetch(`${server.url}/api/runs/r/stop`, { method: 'POST' })
    const { status, json } = await opened.answer
    expect([status, json.error?.code, json.error?.message]).toEqual([409, 'run_ended', expect.stringContaining('stopped')])
  })

  it('ends its request at once: it was silent for too long', async () => {
    const server = await startServer({ limits: { idleMsMax: 20 } })
    const opened = openProducer(server.url, { query: { session: 's', id: 'r', query: 'q' } })
    const { status, json } = await opened.answer
    expect([status, json.error?.code]).toEqual([409, 'run_ended'])
    expect((await server.millrace.readSession('s'))?.runs[0]?.error?.code).toBe('model_timeout')
  })
})

describe('the body of an answer', () => {
  it('may take longer than other requests, which are cut', async () => {
    const server = await startServer({ limits: { requestMs: 100 } })
    const slow = openProducer(server.url, { query: { session: 's', query: 'q' } })
    const other = openProducer(server.url.replace('/api', ''), { query: {} })
    other.cut()
    await slow.send({ text: 'a' })
    const socket = connect(server.port, '127.0.0.1')
    socket.write('POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{')
    // It began later, and lasts for less than the other one.
    await once(socket, 'close')
    await slow.send({ text: 'b' })
    expect((await slow.end()).json.end?.status).toBe('completed')
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'ab' }])
  })

  it.each<[string, (object | string)[], [number, string]]>([
    ['that is no JSON', ['{"text":\n'], [400, 'invalid_json']],
    ['that is no object', ['[1]\n'], [400, 'invalid_request']],
    ['with an unknown field', [{ txt: 'a' }], [400, 'invalid_request']],
    ['whose text is none', [{ text: 1 }], [400, 'invalid_request']],
    ['with a file without bytes', [{ file: { mediaType: 'image/png', bytes: 'x' } }], [400, 'invalid_request']],
    ['with an error of ours', [{ error: { code: 'forbidden' } }], [400, 'invalid_request']],
    ['with an error that is none', [{ error: 1 }], [400, 'invalid_request']],
    ['with an end that is none', [{ end: 'yes' }], [400, 'invalid_request']],
    ['that is too long', [`{"text":"${'x'.repeat(2 ** 20)}"}\n`], [413, 'event_too_large']],
  ])('a line %s is rejected; a producer with a name can correct it', async (_what, lines, [status, code]) => {
    const server = await startServer()
    const bad = await produce(server.url, [{ text: 'a' }, ...lines], { query: { session: 'one', query: 'q' } })
    expect([bad.status, bad.json.error?.code]).toEqual([status, code])
    await expect.poll(() => answerOf(server, 'one')).toMatchObject([{ text: 'a', status: 'failed' }])
    const query = { session: 'two', id: 'r', query: 'q' }
    const wrong = await produce(server.url, [{ text: 'a' }, ...lines], { query, headers: producer('p', 0) })
    expect([wrong.json.error?.code, wrong.headers['producer-expected-seq']]).toEqual([code, '1'])
    await produce(server.url, [{ text: 'b' }, { end: true }], { query, headers: producer('p', 1) })
    expect(await answerOf(server, 'two')).toMatchObject([{ text: 'ab', status: 'completed' }])
  })

  it.each<[string, ProducerOptions, [number, string]]>([
    ['of another type', { headers: { 'content-type': 'application/json' } }, [415, 'unsupported_media_type']],
    ['with half of the producer', { query: { id: 'r' }, headers: { ...ndjson, 'producer-id': 'p' } }, [400, 'invalid_request']],
    ['with a negative number', { query: { id: 'r' }, headers: producer('p', -1) }, [400, 'invalid_request']],
    ['of a producer without a run', { headers: producer('p', 0) }, [400, 'invalid_request']],
    [
      'of a producer of text',
      { query: { id: 'r' }, headers: { ...producer('p', 0), 'content-type': 'text/plain' } },
      [400, 'invalid_request'],
    ],
    ['with a run that is no id', { query: { id: 'a b' } }, [400, 'invalid_id']],
    ['that continues nothing', { query: { continues: 'none' } }, [404, 'run_not_found']],
    ['of a page of another site', { headers: { 'sec-fetch-site': 'cross-site' } }, [403, 'origin_not_allowed']],
  ])('%s is rejected, and starts nothing', async (_what, options, expected) => {
    const server = await startServer()
    const { status, json } = await produce(server.url, [{ text: 'a' }], options)
    expect([status, json.error?.code]).toEqual(expected)
    expect(await server.millrace.engine.list('')).toEqual([])
  })

  it('says how the answer failed', async () => {
    const server = await startServer()
    const lines = [{ text: 'a' }, { error: { code: 'model_rate_limited', message: 'Slow down.' } }, { text: 'never' }]
    const { status, json } = await produce(server.url, lines, { query: { session: 's', query: 'q' } })
    expect({ status, json }).toMatchObject({
      status: 200,
      json: { end: { status: 'failed', error: { code: 'model_rate_limited', message: 'Slow down.' } } },
    })
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'a', status: 'failed' }])
  })

  it('is one answer: another body with the same id is rejected', async () => {
    const server = await startServer()
    const options = { query: { session: 's', id: 'r', query: 'q' } }
    const opened = openProducer(server.url, options)
    await opened.send({ text: 'a' })
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ text: 'a' }])
    const second = await produce(server.url, [{ text: 'b' }], options)
    expect([second.status, second.json.error?.code]).toEqual([409, 'run_conflict'])
    expect((await opened.end()).json.end?.status).toBe('completed')
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'a' }])
  })

  it('is not that of a run with the same id that a model answers, nor of one in another session', async () => {
    const server = await startServer()
    await (await server.millrace.ask({ id: 'asked', query: 'q' })).ended
    const running = await server.millrace.ask({ id: 'running', query: 'q', models: ['sim:count?tps=1'] })
    await produce(server.url, [{ text: 'a' }], { query: { id: 'mine', session: 's' }, headers: producer('p', 0) })
    for (const query of [{ id: 'asked' }, { id: 'running' }, { id: 'mine', session: 'other' }]) {
      const { status, json } = await produce(server.url, [{ text: 'b' }], { query, headers: producer('p', 1) })
      expect([status, json.error?.code]).toEqual([409, 'run_conflict'])
    }
    running.stop()
  })
})

describe('publishing an answer', () => {
  const start = async (may: readonly string[], sub = 'ada') => {
    const server = await startServer({ access: { tokens: { secret } } })
    const token = (claims: object) => sign({ sub, ...claims })
    return { server, token, headers: { ...ndjson, authorization: `Bearer ${await token({ millrace: { may } })}` } }
  }

  it.each<[readonly string[], number]>([
    [['run.*', 'session.*'], 200],
    [['run.start', 'session.*'], 403],
    [['run.publish', 'session.*'], 403],
    [['run.*'], 403],
  ])('needs permission: with %j it is %i', async (may, expected) => {
    const { server, headers } = await start(may)
    expect((await produce(server.url, [{ text: 'a' }], { query: { query: 'q' }, headers })).status).toBe(expected)
  })

  it('is for the owner of the session, and for nobody who knows the id of its run', async () => {
    const { server, headers } = await start(['run.*', 'session.*'])
    const query = { session: 's', id: 'r', query: 'q' }
    const mine = { ...headers, ...producer('p', 0) }
    expect((await produce(server.url, [{ text: 'a' }], { query, headers: mine })).status).toBe(200)
    const eve = { ...producer('p', 1), authorization: `Bearer ${await sign({ sub: 'eve' })}` }
    const taken = await produce(server.url, [{ text: 'x' }], { query: { id: 'r' }, headers: eve })
    expect([taken.status, taken.json.error?.code]).toEqual([409, 'run_conflict'])
    const inside = await produce(server.url, [{ text: 'x' }], { query: { session: 's', query: 'q' }, headers: eve })
    expect([inside.status, inside.json.error?.code]).toEqual([400, 'invalid_request'])
    const named = await produce(server.url, [{ text: 'x' }], { query: { session: 's', id: 'x', query: 'q' }, headers: eve })
    expect([named.status, named.json.error?.code]).toEqual([404, 'session_not_found'])
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'a' }])
  })

  it('ends when its token is revoked, and goes on with another one', async () => {
    const server = await startServer({ access: { tokens: { secret } } })
    const open = async (jti: string, seq: number) =>
      openProducer(server.url, {
        query: { session: 's', id: 'r', query: 'q' },
        headers: { ...producer('p', seq), authorization: `Bearer ${await sign({ jti })}` },
      })
    const old = await open('old', 0)
    await old.send({ text: 'a' })
    await expect.poll(() => answerOf(server, 's')).toMatchObject([{ text: 'a' }])
    await server.millrace.access.revoke({ tokenId: 'old' })
    await old.send({ text: 'b' })
    const { status, json } = await old.answer
    expect([status, json.error?.code]).toEqual([401, 'token_revoked'])
    const young = await open('young', 1)
    await young.send({ text: 'b' }, { end: true })
    expect((await young.end()).json.end?.status).toBe('completed')
    expect(await answerOf(server, 's')).toMatchObject([{ text: 'ab', status: 'completed' }])
  })

  it('is within the limits of who publishes', async () => {
    const server = await startServer({ access: { tokens: { secret } }, limits: { runsInFlight: 1 } })
    const authorization = `Bearer ${await sign({ sub: 'ada' })}`
    const send = (id: string) =>
      produce(server.url, [{ text: 'a' }], { query: { id, query: 'q' }, headers: { ...producer('p', 0), authorization } })
    expect((await send('one')).status).toBe(200)
    expect((await send('two')).json.error?.code).toBe('too_many_runs')
    expect((await send('one')).status).toBe(200)
  })
})

describe('chunks of OpenAI', () => {
  const chunk = (delta: object, rest: object = {}) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, ...rest }] })}\n\n`
  const events = { 'content-type': 'text/event-stream' }
  const call = (fields: object) => ({ tool_calls: [{ index: 0, ...fields }] })

  it('are sent on as they come from a provider', async () => {
    const server = await startServer()
    const body = [
      ': comment\n\n',
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning_content: 'Hm' }),
      chunk({ content: 'Hel' }),
      chunk({ content: 'lo' }),
      chunk(call({ id: 'c1', function: { name: 'add', arguments: '' } })),
      chunk(call({ function: { arguments: '{"a":1' } })),
      chunk(call({ function: { arguments: '}' } })),
      chunk({}, { finish_reason: 'tool_calls' }),
      'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}}\n\n',
      'data: [DONE]\n\n',
    ]
    const { json } = await produce(server.url, body, { query: { session: 's', query: 'q', model: 'gpt-x' }, headers: events })
    expect(json.end).toMatchObject({
      status: 'completed',
      finishReason: 'tool_calls',
      usage: { totalTokens: 9, cachedInputTokens: 3 },
    })
    expect((await server.millrace.readSession('s'))?.runs[0]?.lanes[0]).toMatchObject({
      lane: 'gpt-x',
      text: 'Hello',
      reasoning: 'Hm',
      parts: [
        { type: 'reasoning' },
        { type: 'text' },
        { type: 'tool', call: 'c1', name: 'add', arguments: { a: 1 }, by: 'model' },
      ],
    })
  })

  it('that stop in the middle are no whole answer', async () => {
    const server = await startServer()
    const { json } = await produce(server.url, [chunk({ content: 'a' })], { query: { session: 's' }, headers: events })
    expect(json.end).toMatchObject({ status: 'failed', error: { code: 'producer_lost' } })
    const failed = await produce(server.url, [chunk({ content: 'a' }), 'data: {"error":{"message":"key sk-1"}}\n\n'], {
      query: { session: 's' },
      headers: events,
    })
    expect(failed.json.end?.error).toMatchObject({ code: 'model_failed', message: expect.not.stringContaining('sk-1') })
  })
})
