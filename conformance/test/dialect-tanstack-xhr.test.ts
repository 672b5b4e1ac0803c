/** The adapters of TanStack AI's client that need a browser, in Chromium: cut after every part of an answer, they go on behind it. */
import { fileURLToPath } from 'node:url'
import { createMillrace, type Model, type ModelPart } from 'millrace'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { launchChromium, startFaultProxy } from '../src/index.ts'
import { bundle } from './support/bundle.ts'

type Client = typeof import('@tanstack/ai-client')
type Chunk = { readonly type: string; readonly delta?: string }
/** What the page has. */
type Page = { tanstack: Client; chunks: Chunk[] }

let script = ''
beforeAll(async () => {
  script = await bundle(fileURLToPath(import.meta.resolve('@tanstack/ai-client')), 'tanstack')
})

/** Says each part when it is let, and ends when it is let again. */
function pausing(parts: readonly ModelPart[]) {
  const allowed = [...parts, 'end'].map(() => Promise.withResolvers<void>())
  const model: Model = {
    name: 'talker',
    async *stream() {
      for (const [index, part] of parts.entries()) {
        await allowed[index]?.promise
        yield part
      }
      await allowed.at(-1)?.promise
    },
  }
  return { model, say: (index: number) => allowed[index]?.resolve() }
}

const words = ['so', ' then', 'one ', '二', ' three']
const parts = words.map((word, index): ModelPart => (index < 2 ? { reasoning: word } : word))

it.each([
  ['xhrServerSentEvents', '/tanstack'],
  ['xhrHttpStream', '/tanstack/lines'],
] as const)('%s goes on behind the last frame, without a chunk twice, and joins the run', async (adapter, path) => {
  const { model, say } = pausing(parts)
  const millrace = createMillrace({ models: [model], model: 'talker', dialects: ['tanstack'] })
  onTestFinished(() => millrace.close())
  const proxy = await startFaultProxy((await millrace.listen({ port: 0 })).port)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const page = await (await launchChromium()).newPage()
  await page.goto(`${proxy.url}/healthz`)
  await page.evaluate(`${script}; var chunks = []`)
  const resumedAt: (string | undefined)[] = []
  page.on('request', (request) => void (request.method() === 'POST' && resumedAt.push(request.headers()['last-event-id'])))
  const read = page.evaluate(
    async ({ adapter, path }) => {
      const { tanstack, chunks } = globalThis as unknown as Page
      const connection = tanstack[adapter](path, { reconnect: { delayMs: 0 } })
      const messages = [{ id: 'm', role: 'user', parts: [{ type: 'text', content: 'x' }] }]
      const asked = connection.connect(messages as never, undefined, undefined, { threadId: 't', runId: 'r' })
      for await (const chunk of asked) chunks.push(chunk as Chunk)
      const joined: Chunk[] = []
      for await (const chunk of connection.joinRun('r')) joined.push(chunk as Chunk)
      return { chunks, joined }
    },
    { adapter, path },
  )
  for (const [index, word] of words.entries()) {
    say(index)
    const received = page.waitForFunction((last) => (globalThis as unknown as Page).chunks.at(-1)?.delta === last, word)
    await Promise.race([received, read])
    proxy.cut()
  }
  say(words.length)
  const { chunks, joined } = await read
  expect(chunks).toEqual(joined)
  expect(chunks.flatMap(({ delta }) => delta ?? [])).toEqual(words)
  expect(chunks.map(({ type }) => type).filter((type) => type.startsWith('RUN_'))).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
  expect(resumedAt).toEqual([undefined, ...words.map(() => expect.any(String))])
  expect(new Set(resumedAt).size).toBe(words.length + 1)
  expect((await millrace.readSession('t'))?.runs).toMatchObject([{ run: 'r', status: 'completed' }])
})
