/**
 * Attacks on the sessions of others, over every transport, from the same and from another server of the engine. Criterion:
 * the answer is the one for a session that does not exist, to the letter and in the same time, and not a byte of content.
 */
import { once } from 'node:events'
import { createMillrace, type Engine, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startShared } from './support/nodes.ts'

const adminKey = 'an-admin-key-of-a-test'
/** In the question and in the answer. */
const secretText = 'Schwanengesang'

/** A server whose users say in a header who they are. */
async function openNode(engine: Engine) {
  const secret = {
    name: 'secret',
    async *stream() {
      yield `${secretText} `
      yield 'and more'
    },
  }
  const plain = {
    name: 'plain',
    async *stream() {
      yield 'nothing of interest'
    },
  }
  const hang = {
    name: 'hang',
    async *stream({ signal }: { signal: AbortSignal }) {
      yield secretText
      await once(signal, 'abort')
    },
  }
  const millrace = createMillrace({
    engine,
    models: [secret, hang, plain],
    model: 'secret',
    authenticate: ({ headers }) => {
      const [id, sessions] = headers.get('x-user')?.split(' ') ?? []
      return id === undefined ? undefined : { id, ...(sessions && { sessions: [sessions] }) }
    },
    access: { adminKey },
    onError: () => {},
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  return { millrace, url }
}

type Headers = Record<string, string>
const as = (user: string): Headers => ({ 'x-user': user })

async function request(url: string, method: string, path: string, headers: Headers, body?: object): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(5000),
  })
  const isStream = response.ok && response.headers.get('content-type')?.startsWith('text/event-stream')
  if (!isStream) return [response.status, await response.text()]
  // A stream has no end: what it has within a moment.
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (let reads = 0; reads < 3 && !text.includes('data:'); reads++) text += (await reader.read()).value ?? ''
  await reader.cancel()
  return [response.status, text]
}

type Answer = [status: number, text: string]

/** The reply to the last of these messages. */
async function say(url: string, headers: Headers, messages: readonly object[], search = ''): Promise<Answer> {
  // Node's takes headers, which browsers do not have.
  const client = new WebSocket(`${url.replace('http', 'ws')}/ws/chat${search}`, { headers } as never)
  onTestFinished(() => client.close())
  await once(client, 'open')
  let text = ''
  for (const message of messages) {
    client.send(JSON.stringify(message))
    text = String(((await once(client, 'message')) as [MessageEvent])[0].data)
  }
  client.close()
  return [101, text]
}

interface Target {
  readonly session: string
  readonly run: string
  /** Of an event of the session. */
  readonly position: string
}

async function ask(url: string, headers: Headers, body: object = {}): Promise<Target> {
  const accept = { accept: 'application/json' }
  const [status, text] = await request(url, 'POST', '/api/chat', { ...headers, ...accept }, { query: secretText, ...body })
  if (status !== 202) throw new Error(text)
  return JSON.parse(text) as Target
}

/** Every way to a session by its id, by a position in it, and by the id of a run in it. `own` is a session of the attacker. */
function attempts(url: string, who: Headers, { session, run, position }: Target, own: Target) {
  const http = (method: string, path: string, body?: object, headers: Headers = {}) =>
    request(url, method, path, { ...who, ...headers }, body)
  const stream = `/api/stream?session=${session}`
  const named = `${session}:${position}`
  const json = { accept: 'application/json' }
  const ws = (message: object, search = '') => say(url, who, [message], search)
  return {
    read: () => http('GET', `/api/sessions/${session}`),
    export: () => http('GET', `/api/sessions/${session}/export`),
    'export as JSON': () => http('GET', `/api/sessions/${session}/export?format=json`),
    rename: () => http('PATCH', `/api/sessions/${session}`, { title: 'mine' }),
    delete: () => http('DELETE', `/api/sessions/${session}`),
    share: () => http('POST', `/api/sessions/${session}/shares`, {}),
    'list shares': () => http('GET', `/api/sessions/${session}/shares`),
    'revoke a share': () => http('DELETE', `/api/sessions/${session}/shares/abc`),
    stream: () => http('GET', stream),
    'stream from now': () => http('GET', `${stream}&from=now`),
    'stream from a position': () => http('GET', `${stream}&from=${position}`),
    'stream from a position of it': () => http('GET', `${stream}&lastEventId=${named}`),
    'stream from what is no position': () => http('GET', `${stream}&from=x`),
    'stream with Last-Event-ID': () => http('GET', stream, undefined, { 'last-event-id': named }),
    'stream from the beginning of an epoch': () => http('GET', `${stream}&from=${position.split('-')[0]}-0`),
    'stream as plain': () => http('GET', `${stream}&shape=plain`),
    'stream beside an own one': () => http('GET', `${stream}&session=${own.session}&live=poll&wait=0&from=start`),
    poll: () => http('GET', `${stream}&live=poll&wait=0`),
    'poll from a position': () => http('GET', `${stream}&live=poll&wait=0&from=${position}`),
    HEAD: () => http('HEAD', stream),
    'chat with Last-Event-ID': () => http('GET', '/api/chat?query=x', undefined, { 'last-event-id': named }),
    'chat from a position of it': () => http('GET', `/api/chat?query=x&session=${session}&lastEventId=${position}`),
    ask: () => http('POST', '/api/chat', { query: 'x', session }),
    'ask without reading': () => http('POST', '/api/chat', { query: 'x', session }, json),
    'ask by GET': () => http('GET', `/api/chat?query=x&session=${session}`),
    'ask a model that there is not': () => http('POST', '/api/chat', { query: 'x', session, model: 'nobody' }),
    stop: () => http('POST', `/api/runs/${run}/stop`, {}),
    continue: () => http('POST', `/api/runs/${run}/continue`, {}),
    'continue in the session': () => http('POST', `/api/runs/${run}/continue`, { session }),
    'continue in an own session': () => http('POST', `/api/runs/${run}/continue`, { session: own.session }),
    attach: () => ws({ type: 'attach', session }),
    'attach from a position': () => ws({ type: 'attach', session, from: position }),
    'attach from a position of it': () => ws({ type: 'attach', session, from: named }),
    'attach from what is no position': () => ws({ type: 'attach', session, from: 'x' }),
    detach: () => ws({ type: 'detach', session }),
    acknowledge: () => ws({ type: 'ack', session, id: position, ref: 'a' }),
    'acknowledge in a handshake of it': () =>
      ws({ type: 'ack', session, id: position, ref: 'a' }, `?session=${session}&down=sse`),
    query: () => ws({ query: 'x', session }),
    'query in a handshake of it': () => ws({ query: 'x' }, `?session=${session}`),
    run: () => ws({ type: 'run', query: 'x', session }),
    'stop over a socket': () => ws({ type: 'stop', run }),
    'continue over a socket': () => ws({ type: 'continue', run }),
    'continue over a socket, in the session': () => ws({ type: 'continue', run, session }),
  }
}

/** As the attempt on the session that does not exist is answered. */
const rename = ([status, text]: Answer, { session, run }: Target): Answer => [
  status,
  text.replaceAll(session, '<session>').replaceAll(run, '<run>'),
]

const engines = [
  { name: 'memory', nodes: 1, make: memoryEngine },
  ...(await startShared()).map((each) => ({ ...each, nodes: 2 })),
]

describe.each(engines)('over $name with $nodes server(s), the session of another user', ({ name, make, nodes }) => {
  async function setUp() {
    const first = await openNode(make())
    const second = nodes === 1 ? first : await openNode(make())
    const target = await ask(first.url, as('ada'))
    const hanging = await ask(first.url, as('ada'), { session: target.session, model: 'hang' })
    await first.millrace.findRun(target.run)?.ended
    const own = await ask(second.url, as('bob'), { query: 'x', model: 'plain' })
    const [epoch] = target.position.split('-') as [string]
    const position = `${epoch}-2`
    return {
      first: first.url,
      second: second.url,
      millrace: first.millrace,
      own,
      target: { ...target, run: hanging.run, position },
      missing: { session: `${target.session.slice(0, -4)}none`, run: `${hanging.run.slice(0, -4)}none`, position },
    }
  }

  it('is as one that does not exist, whatever is done to it, and by whom', async () => {
    const { second, target, missing, own, millrace } = await setUp()
    const { keys } = millrace
    const { key } = await keys.create({ name: 'shop', may: ['session.*', 'run.*', 'channel.*'] })
    const [, link] = await request(second, 'POST', `/api/sessions/${own.session}/shares`, as('bob'), {})
    const { token } = JSON.parse(link) as { token: string }
    const attackers = {
      'another user': as('bob'),
      'a server with a key': { authorization: `Bearer ${key}` },
      'a user of other sessions': as(`eve ${own.session}`),
      'a share link of another session': { authorization: `Bearer ${token}` },
    }
    let count = 0
    const attackAs = async ([attacker, who]: [string, Headers]) => {
      const [there, not] = [attempts(second, who, target, own), attempts(second, who, missing, own)]
      for (const way of Object.keys(there) as (keyof typeof there)[]) {
        const [answer, expected] = [await there[way](), await not[way]()]
        expect([attacker, way, ...rename(answer, target)]).toEqual([attacker, way, ...rename(expected, missing)])
        expect(answer[1]).not.toContain(secretText)
        expect(way === 'stream beside an own one' || answer[0] === 101 || answer[0] >= 400).toBe(true)
        count += 1
      }
    }
    await Promise.all(Object.entries<Headers>(attackers).map(attackAs))
    // It was neither stopped, renamed nor deleted.
    expect(millrace.findRun(target.run)?.end).toBeUndefined()
    process.stdout.write(`${name}: ${count} attempts answered as for no session, 0 bytes of content\n`)
  })

  it('takes as long as one that does not exist', async () => {
    const { second, target, missing, own } = await setUp()
    const ways = ['read', 'poll from a position', 'stop', 'continue', 'attach', 'rename', 'ask'] as const
    const [there, not] = [attempts(second, as('bob'), target, own), attempts(second, as('bob'), missing, own)]
    let [surest, shortest] = [0.5, Number.POSITIVE_INFINITY]
    const compare = async (way: (typeof ways)[number]) => {
      const times = { there: [] as number[], not: [] as number[] }
      // In turn, and by chance which comes first: whatever else the machine does slows both.
      for (let round = 0; round < 20; round++) {
        const order = Math.random() < 0.5 ? (['there', 'not'] as const) : (['not', 'there'] as const)
        for (const which of order) times[which].push(await timeOf({ there, not }[which][way]))
      }
      const right = guess(times.there, times.not)
      surest = Math.max(surest, right)
      shortest = Math.min(shortest, ...times.there, ...times.not)
      // Four standard deviations from a coin.
      expect.soft([way, right < 0.88]).toEqual([way, true])
    }
    await Promise.all(ways.map(compare))
    // A timer may fire in the millisecond before.
    expect(shortest).toBeGreaterThan(23)
    process.stdout.write(`${name}: a guess by the time is right in at most ${Math.round(surest * 100)} % of the pairs\n`)
  })

  it('does not say by the id of a run what was asked in it', async () => {
    const { second, target } = await setUp()
    const post = (query: string) => request(second, 'POST', '/api/chat', as('bob'), { query, id: target.run, model: 'hang' })
    const [right, wrong] = [await post(secretText), await post('something else')]
    expect(right).toEqual(wrong)
    expect(right[0]).toBe(409)
  })

  it('is not in the list, nor in the channel of its name', async () => {
    const { second, target, own } = await setUp()
    const list = async () => (await request(second, 'GET', '/api/sessions', as('bob')))[1]
    await expect.poll(list).toContain(own.session)
    expect(await list()).not.toContain(target.session)
    const names = [target.session, `record/${target.session}`, 'catalog/sessions', 'access/keys', 'channel/c']
    // The id of a session may begin with a hyphen, and the name of a channel may not.
    for (const channel of names.filter((name) => !name.startsWith('-'))) {
      const [, text] = await request(
        second,
        'GET',
        `/api/stream?channel=${encodeURIComponent(channel)}&live=poll&wait=0`,
        as('bob'),
      )
      expect([channel, JSON.parse(text)]).toMatchObject([channel, { events: [] }])
    }
    for (const pattern of ['*', 'room:*', 'a/../b*', 'channel/*']) {
      const [status] = await request(
        second,
        'GET',
        `/api/stream?channel=${encodeURIComponent(pattern)}&live=poll&wait=0`,
        as('bob'),
      )
      expect([pattern, status]).toEqual([pattern, 400])
    }
    for (const log of [`record/${target.session}`, 'catalog/sessions', 'access/keys', `run/${target.run}`, '../x', ''])
      expect((await request(second, 'GET', `/api/stream?session=${encodeURIComponent(log)}`, as('bob')))[0]).toBe(400)
  })

  it('can be used by its owner on each server, over every transport', async () => {
    const { first, second, target, own } = await setUp()
    for (const url of [first, second]) {
      const ways = attempts(url, as('ada'), target, own)
      const reading = ['read', 'export', 'stream', 'stream with Last-Event-ID', 'poll', 'chat with Last-Event-ID'] as const
      for (const way of reading) expect([way, (await ways[way]())[0]]).toEqual([way, 200])
      expect((await ways.attach())[1]).toContain('"attached"')
      expect((await ways.read())[1]).toContain(secretText)
    }
    expect(JSON.parse((await attempts(second, as('ada'), target, own).stop())[1]).status).toBe('stopped')
  })
})

async function timeOf(act: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await act()
  return performance.now() - startedAt
}

/** How often the longer of two times is of the same kind, for the kind that is longer more often. */
function guess(one: readonly number[], other: readonly number[]): number {
  const longer = one.flatMap((time) => other.map((than) => Number(time > than)))
  const share = longer.reduce((sum, each) => sum + each, 0) / longer.length
  return Math.max(share, 1 - share)
}
