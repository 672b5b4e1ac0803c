/** The suites that check any server, against this one; and against one that breaks its promises. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request as forward, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createMillrace } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

const command = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const model = 'sim:count?n=12&tps=100'

async function start(): Promise<string> {
  const dialects = ['ai-sdk', 'openai', 'ag-ui', 'tanstack', 'durable-streams', 'anthropic'] as const
  const millrace = createMillrace({ model, dialects })
  onTestFinished(() => millrace.close())
  return (await millrace.listen({ port: 0 })).url
}

async function check(url: string, ...more: string[]) {
  const child = spawn(process.execPath, ['--conditions=millrace-source', command, url, ...more])
  const [output, problem, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { output, problem, code: code as number }
}

it('every case passes against Millrace, with every dialect', async () => {
  const { output, problem, code } = await check(await start(), '--model', model)
  expect(problem).toBe('')
  expect(output.split('\n').filter((line) => /^ {2}[✗-]/.test(line))).toEqual([])
  expect(code).toBe(0)
}, 120_000)

it('a server that loses every third token of a stream fails', async () => {
  const server = await startLossy(new URL(await start()))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { output, code } = await check(url, '--model', model, '--only', 'reading over SSE')
  expect(output).toContain('✗ gives every event once, in order, and after any of them exactly the rest')
  expect(code).toBe(1)
}, 60_000)

/** In front of a server: it drops messages by their place in the stream, so that a reader that goes on gets others. */
async function startLossy({ hostname, port }: URL): Promise<Server> {
  const server = createServer((request, response) => {
    const { url: path, method, headers } = request
    const answered = (answer: IncomingMessage) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      let messages = 0
      let rest = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk: string) => {
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop() ?? ''
        for (const block of blocks) if (!block.includes('event: message') || ++messages % 3 > 0) response.write(`${block}\n\n`)
      })
      answer.on('end', () => response.end(rest))
      answer.on('error', () => response.destroy())
    }
    request.pipe(forward({ hostname, port, path, method, headers }, answered))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

it('a wrong argument is explained', async () => {
  expect(await check('nowhere')).toMatchObject({ code: 2, problem: expect.stringContaining('Name the address') as string })
  expect(await check('http://127.0.0.1:1', '--only', 'nothing')).toMatchObject({ code: 2 })
})
