/**
 * The client of Durable Streams, as it is published, over real engines: its event stream is cut after each frame in turn, its
 * long-poll while it waits, its server ends and begins again, and several servers are written at the same time.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { DurableStream, stream } from '@durable-streams/client'
import { createMillrace, type Engine, type Millrace, type Model, memoryEngine, sqliteEngine } from 'millrace'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
const folder = mkdtempSync(join(tmpdir(), 'millrace-streams-'))
afterAll(async () => {
  await redis.close()
  rmSync(folder, { recursive: true, force: true })
})

const durable = [
  { name: 'sqlite', make: (): Engine => sqliteEngine({ folder }) },
  { name: 'redis', make: (): Engine => redisEngine({ url: redis.url }) },
]
const tokens = ['one ', '二 ', 'three\n', '4 ']

/** Yields its tokens when it is read, so that they are delivered live. */
function createGated() {
  const read = Promise.withResolvers<void>()
  const model: Model = {
    name: 'gated',
    async *stream() {
      await read.promise
      for (const token of tokens) {
        yield token
        await new Promise(setImmediate)
      }
    },
  }
  return { model, release: read.resolve }
}

async function serve(engine: Engine, models: readonly Model[] = []): Promise<{ millrace: Millrace; port: number }> {
  const millrace = createMillrace({
    engine,
    models,
    model: models[0]?.name ?? 'sim:count',
    dialects: ['durable-streams'],
    onError: () => {},
  })
  onTestFinished(() => millrace.close())
  return { millrace, port: (await millrace.listen({ port: 0 })).port }
}

interface Cuts {
  /** Event streams are cut after this many frames of all that were sent. */
  readonly frames?: number
  /** So many long-polls are cut when their answer arrives. */
  readonly polls?: number
  readonly onLive: () => void
}

/** Passes requests on, and cuts responses where a frame ends. */
async function startCutter(target: number, { frames = Number.POSITIVE_INFINITY, polls = 0, onLive }: Cuts) {
  const counts = { frames: 0, cuts: 0 }
  const pass = (near: IncomingMessage, answer: ServerResponse) => {
    const isLive = /live=/.test(near.url ?? '')
    const far = request({ port: target, host: '127.0.0.1', path: near.url, method: near.method, headers: near.headers })
    far.on('response', (response) => {
      if (isLive && response.headers['content-type'] !== 'text/event-stream' && counts.cuts < polls) {
        counts.cuts += 1
        return void answer.destroy()
      }
      answer.writeHead(response.statusCode ?? 500, response.headers)
      answer.flushHeaders()
      if (isLive) onLive()
      if (response.headers['content-type'] === 'text/event-stream') passFrames(response, answer)
      else response.pipe(answer)
    })
    far.on('error', () => answer.destroy())
    answer.on('close', () => far.destroy())
    near.pipe(far)
    // A long-poll sends its headers only when it has an answer.
    if (isLive && near.url?.includes('long-poll')) onLive()
  }
  const passFrames = (response: IncomingMessage, answer: ServerResponse) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0 && !answer.destroyed; end = text.indexOf('\n\n')) {
        answer.write(text.slice(0, end + 2))
        text = text.slice(end + 2)
        counts.frames += 1
        if (counts.frames !== frames) continue
        counts.cuts += 1
        // After what was written has left, and before its end does: a clean end is none that a network makes.
        response.removeAllListeners('end')
        return void answer.write('', () => answer.destroy())
      }
    })
    response.on('end', () => answer.end())
    response.on('error', () => answer.destroy())
  }
  const server = createServer(pass).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, counts }
}

interface Message {
  readonly event: string
  readonly data: { readonly text?: string; readonly status?: string }
}

/**
 * A run read by the real client while its model writes. The client passes a cut on as an error, and its application goes on from
 * the offset of the last batch.
 */
async function readCut(engine: Engine, cuts: Omit<Cuts, 'onLive'>, live: 'sse' | 'long-poll') {
  const { model, release } = createGated()
  const { millrace, port } = await serve(engine, [model])
  const { url, counts } = await startCutter(port, { ...cuts, onLive: release })
  const { id } = await millrace.ask({ query: 'go' })
  const messages: Message[] = []
  let offset = '-1'
  for (let isClosed = false; !isClosed; ) {
    const response = await stream<Message>({ url: `${url}/ds/runs/${id}`, live, offset, backoffOptions })
    isClosed = await new Promise<boolean>((resolve) => {
      let isCut = false
      response.closed.catch(() => {
        isCut = true
        resolve(false)
      })
      response.subscribeJson((batch) => {
        // It may still have a batch when it has reported the cut.
        if (isCut) return
        messages.push(...batch.items)
        offset = batch.offset
        if (batch.streamClosed) resolve(true)
      })
    })
  }
  await millrace.close()
  return { text: messages.map(({ data }) => data.text ?? '').join(''), events: messages.map(({ event }) => event), counts }
}

const backoffOptions = { initialDelay: 1, maxDelay: 10, multiplier: 1 }
/** Each exactly once. */
const whole = { text: tokens.join(''), events: ['stream_start', ...tokens.map(() => 'message'), 'stream_end'] }

describe.each([{ name: 'memory', make: () => memoryEngine() }, ...durable])('over $name', ({ make }) => {
  it('reads a run whose event stream is cut after each frame in turn', async () => {
    const { counts: all, ...read } = await readCut(make(), {}, 'sse')
    expect(read).toEqual(whole)
    expect(all.frames).toBeGreaterThan(2 * tokens.length)
    for (let frames = 1; frames < all.frames; frames++) {
      const { counts, ...reading } = await readCut(make(), { frames }, 'sse')
      expect({ frames, ...reading }).toEqual({ frames, ...whole })
      expect(counts.cuts).toBe(1)
    }
  })

  it('reads a run whose long-polls are cut', async () => {
    const { counts, ...read } = await readCut(make(), { polls: 2 }, 'long-poll')
    expect(read).toEqual(whole)
    expect(counts.cuts).toBe(2)
  })
})

describe.each(durable)('over $name', ({ name, make }) => {
  const producer = (seq: number, epoch = 0) => ({
    'content-type': 'text/plain',
    'producer-id': 'p',
    'producer-epoch': `${epoch}`,
    'producer-seq': `${seq}`,
  })
  const post = async (url: string, body: string | undefined, headers: Record<string, string>) =>
    (await fetch(url, { method: 'POST', headers, ...(body !== undefined && { body }) })).status

  it('knows after a restart what a producer has sent, and what was closed', async () => {
    const path = `/ds/streams/restart-${name}`
    const first = await serve(make())
    const before = `http://127.0.0.1:${first.port}${path}`
    await DurableStream.create({ url: before, contentType: 'text/plain' })
    expect(await post(before, 'a', producer(0))).toBe(200)
    expect(await post(before, 'b', producer(1))).toBe(200)
    await first.millrace.close()

    const second = await serve(make())
    const after = `http://127.0.0.1:${second.port}${path}`
    expect(await post(after, 'b', producer(1))).toBe(204)
    expect(await post(after, 'd', producer(3))).toBe(409)
    expect(await post(after, 'c', { ...producer(2), 'stream-closed': 'true' })).toBe(200)
    await second.millrace.close()

    const third = await serve(make())
    const last = `http://127.0.0.1:${third.port}${path}`
    expect(await post(last, 'c', { ...producer(2), 'stream-closed': 'true' })).toBe(204)
    expect(await post(last, 'd', producer(3))).toBe(409)
    expect(await (await fetch(last)).text()).toBe('abc')
  })
})

it('has every append once where two servers write one stream, in one order for all', async () => {
  const nodes = await Promise.all([0, 1].map(() => serve(redisEngine({ url: redis.url }))))
  const urls = nodes.map(({ port }) => `http://127.0.0.1:${port}/ds/streams/shared`)
  await DurableStream.create({ url: urls[0] as string, contentType: 'application/json' })
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (let seq = 0; seq < 20; seq++) {
      const headers = {
        'content-type': 'application/json',
        'producer-id': `writer-${writer}`,
        'producer-epoch': '0',
        'producer-seq': `${seq}`,
      }
      // Each request twice, at two servers: as after a timeout.
      const answers = await Promise.all(
        urls.map(async (url) => (await fetch(url, { method: 'POST', headers, body: JSON.stringify({ writer, seq }) })).status),
      )
      expect(answers.toSorted((one, other) => one - other)).toEqual([200, 204])
    }
  })
  await Promise.all(writers)
  const [one, other] = await Promise.all(
    urls.map(async (url) => (await fetch(url)).json() as Promise<{ writer: number; seq: number }[]>),
  )
  expect(one).toEqual(other)
  for (let writer = 0; writer < 6; writer++)
    expect(one?.filter((message) => message.writer === writer).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 20 }, (_, seq) => seq),
    )
})

it.each(['', '.zh-CN'])('runs the programs of the guide%s as they are printed', async (language) => {
  const guide = readFileSync(new URL(`../../docs/guides/durable-streams${language}.md`, import.meta.url), 'utf8')
  const programs = [...guide.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = '']) => code)
  const { model, release } = createGated()
  const { millrace, port } = await serve(memoryEngine(), [model])
  const { id } = await millrace.ask({ query: 'go' })
  release()
  const run = async (program: string | undefined, path: string) => {
    const args = ['--input-type=module', '-e', program ?? '', '--', 'program', `http://127.0.0.1:${port}${path}`]
    return (await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(new URL('..', import.meta.url)) })).stdout
  }
  expect(await run(programs[0], `/ds/runs/${id}`)).toBe(tokens.join(''))
  expect(await run(programs[1], '/ds/streams/todo')).toBe("[ { add: 'milk' } ]\n")
})
