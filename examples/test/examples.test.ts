/** Runs every example as a user would, and reads what it streams. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'

const folder = new URL('../src/', import.meta.url)
/** The one with a login answers nobody else. */
const examples = readdirSync(folder).filter((file) => file.endsWith('.ts') && file !== 'login.ts')

/** The output of each example, if it is not the count of five. */
const answers: Record<string, string> = {
  'own-tokens.ts': 'Tomorrow: sun, then rain.',
  'langchain.ts': 'A mill turns where the river runs.',
}

/** Starts an example on a free port; the first line it prints is its address. */
async function start(file: string): Promise<URL> {
  return (await startLines(file)).url
}

/** The lines after the address are what the example prints later. */
async function startLines(file: string): Promise<{ readonly url: URL; readonly lines: Interface }> {
  const child: ChildProcess = spawn(process.execPath, ['--conditions=millrace-source', fileURLToPath(new URL(file, folder))], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit')])
  if (typeof line !== 'string') throw new Error(`${file} ended with ${line}`)
  return { url: new URL(line), lines }
}

async function readText(response: Response): Promise<string> {
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (text.includes('event: stream_end')) break
  }
  return [...text.matchAll(/"text":"([^"]*)"/g)].map(([, said]) => said).join('')
}

describe('the example', () => {
  it.each(examples)('%s streams its answer', async (file) => {
    const address = await start(file)
    expect(await readText(await fetch(address))).toBe(answers[file] ?? '1 2 3 4 5 ')
  })

  it.each([
    ['openai.ts', ['1 2 3 4 5 ']],
    ['ag-ui.ts', ['assistant: 1 2 3 4 5 ', 'assistant: hello']],
    ['tanstack.ts', ['user: hello', 'assistant: 1 2 3 4 5 ']],
    ['anthropic.ts', ['1 2 3 4 5 ']],
  ])('%s prints what its client has received', async (file, expected) => {
    const { lines } = await startLines(file)
    const printed: string[] = []
    for await (const line of lines) if (printed.push(line) === expected.length) break
    expect(printed).toEqual(expected)
  })

  it.each(['node-http.ts', 'express.ts', 'fastify.ts', 'hono.ts'])(
    "%s accepts a POST and keeps the host's own pages",
    async (file) => {
      const address = await start(file)
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(new URL('/api/chat', address), { method: 'POST', headers, body: '{"query":"hello"}' })
      expect(await readText(answer)).toBe('1 2 3 4 5 ')
      const response = await fetch(new URL('/api/chat', address), { method: 'POST', headers, body: '{"query":""}' })
      expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'query_missing' } }])
      expect(await (await fetch(new URL('/', address))).text()).toBe('my own page')
    },
  )

  it("fastify.ts keeps the headers of the host's plug-ins on a stream, a response and an error", async () => {
    const address = await start('fastify.ts')
    for (const path of ['/api/chat?query=hello', '/api/models', '/api/nothing']) {
      const answer = await fetch(new URL(path, address))
      await answer.body?.cancel()
      expect(answer.headers.get('x-frame-options')).toBe('DENY')
      expect(answer.headers.get('content-type')).toMatch(/json|event-stream/)
    }
  })

  it.each(['node-http.ts', 'express.ts'])('%s accepts WebSockets', async (file) => {
    const socket = new WebSocket(new URL('/ws/chat', await start(file)))
    await once(socket, 'open')
    let text = ''
    const ended = new Promise<void>((resolve) => {
      socket.addEventListener('message', ({ data }) => {
        const message = JSON.parse(String(data)) as { text?: string; status?: string }
        text += message.text ?? ''
        if (message.status !== undefined) resolve()
      })
    })
    socket.send('{"query":"hello"}')
    await ended
    socket.close()
    expect(text).toBe('1 2 3 4 5 ')
  })

  it('login.ts gives each user sessions of his own', async () => {
    const address = await start('login.ts')
    const login = async (name: string) => {
      const headers = { 'content-type': 'application/json' }
      const { headers: answered } = await fetch(address, { method: 'POST', headers, body: JSON.stringify({ name }) })
      return { cookie: (answered.get('set-cookie') ?? '').split(';')[0] as string }
    }
    const [ada, bob] = [await login('ada'), await login('bob')]
    const ask = new URL('/api/chat?query=hello&id=r', address)
    expect((await fetch(ask)).status).toBe(401)
    const answer = await fetch(ask, { headers: ada })
    expect(await readText(answer)).toBe('1 2 3 4 5 ')
    const list = async (headers: Record<string, string>) =>
      ((await (await fetch(new URL('/api/sessions', address), { headers })).json()) as { sessions: { id: string }[] }).sessions
    await expect.poll(() => list(ada)).toHaveLength(1)
    expect(await list(bob)).toEqual([])
    const read = new URL(`/api/sessions/${(await list(ada))[0]?.id}`, address)
    expect([(await fetch(read, { headers: ada })).status, (await fetch(read, { headers: bob })).status]).toEqual([200, 404])
  })

  it('next/app/api/[...path]/route.ts works as a route of Next.js', async () => {
    const { GET, POST } = await import('../src/next/app/api/[...path]/route.ts')
    expect(await readText(await GET(new Request('http://host/api/chat?query=hello')))).toBe('1 2 3 4 5 ')
    const body = JSON.stringify({ query: 'hello' })
    const post = new Request('http://host/api/chat', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    expect(await readText(await POST(post))).toBe('1 2 3 4 5 ')
  })
})
