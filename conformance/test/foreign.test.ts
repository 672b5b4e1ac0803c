/**
 * Clients that do not know Millrace, as docs/guides/clients.md shows them: each program is run unchanged, and reads an
 * answer to its end although its connections are cut.
 */
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createMillrace } from 'millrace'
import type { Page } from 'playwright-core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type CutAnswer, cuts, cutText, launchChromium, startCutAnswer } from '../src/index.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))
const guide = (language = '') => readFileSync(new URL(`../../docs/guides/clients${language}.md`, import.meta.url), 'utf8')
const programs = (text: string) => [...text.matchAll(/^```(?:js|python)\n(.*?)^```$/gms)].map(([, code = '']) => code)
const [eventSource = '', eventSourceClient = '', fetchEventSource = '', partySocket = '', webSocket = '', ask = '', read = ''] =
  programs(guide())

/** Debian's, for which `npm test` installs the package, or any other that has it. */
const python = ['/usr/bin/python3', 'python3'].find((one) => spawnSync(one, ['-c', 'import websockets']).status === 0)

async function run(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd: folder, timeout: 30_000 })
  return stdout
}

const node = (program: string, ...args: readonly string[]) =>
  run(process.execPath, '--input-type=module', '-e', program, '--', 'program', ...args)

// They wait some seconds before they reconnect, so they read side by side.
it('Node programs with eventsource, eventsource-client and partysocket read a whole answer despite cuts', async () => {
  const readAll = async (name: string, read: (answer: CutAnswer) => Promise<string>) => {
    const answer = await startCutAnswer()
    expect.soft([name, await read(answer)]).toEqual([name, cutText])
    expect.soft([name, answer.proxy.accepted > cuts]).toEqual([name, true])
  }
  await Promise.all([
    readAll('eventsource', ({ url }) => node(eventSource, `${url}/api/chat?query=count`)),
    readAll('eventsource-client', ({ url }) => node(eventSourceClient, `${url}/api/chat?query=count`)),
    readAll('partysocket', async ({ url, start }) => node(partySocket, `${url.replace('http', 'ws')}/ws/chat`, await start())),
  ])
})

describe('a page reads a whole answer despite cuts', () => {
  async function open(url: string): Promise<Page> {
    const page = await (await launchChromium()).newPage()
    await page.route('**/lib/*', (route) => {
      const file = `${new URL(route.request().url()).pathname.split('/').at(-1)?.replace(/\.js$/, '')}.js`
      const path = new URL(`../../node_modules/@microsoft/fetch-event-source/lib/esm/${file}`, import.meta.url)
      return route.fulfill({ contentType: 'text/javascript', body: readFileSync(path, 'utf8') })
    })
    await page.goto(`${url}/healthz`)
    await page.evaluate('document.body.replaceChildren()')
    return page
  }
  const textOf = (page: Page, part: string) => page.waitForFunction(`document.body.textContent.includes(${JSON.stringify(part)})`)

  it('with @microsoft/fetch-event-source, whose POST is repeated and starts the run once', async () => {
    const answer = await startCutAnswer()
    const page = await open(answer.url)
    await page.addScriptTag({
      type: 'module',
      content: fetchEventSource.replace('@microsoft/fetch-event-source', '/lib/index.js'),
    })
    await textOf(page, '60 ')
    expect(await page.evaluate('document.body.textContent')).toBe(cutText)
    expect([answer.runs, answer.proxy.accepted > cuts]).toEqual([1, true])
  })

  it('with only a WebSocket', async () => {
    const { url, proxy, start } = await startCutAnswer()
    const page = await open(url)
    await page.evaluate(`(() => { ${webSocket}; read(${JSON.stringify(await start())}) })()`)
    await textOf(page, '60 ')
    expect(await page.evaluate('document.body.textContent')).toBe(cutText)
    expect(proxy.accepted).toBeGreaterThan(cuts)
  })

  it('with a WebSocket, and stops when the server says that reconnecting is useless', async () => {
    const { url } = await startCutAnswer()
    const page = await open(url)
    // Records the delays instead of waiting.
    const reads = `(() => { const setTimeout = (_read, _ms, session) => waits.push(session); ${webSocket}; read('unknown') })()`
    await page.evaluate(`globalThis.waits = []; globalThis.sockets = []; globalThis.WebSocket = class extends WebSocket {
      constructor(url) { super(url); sockets.push(this) }
    }`)
    await page.evaluate(reads)
    await page.waitForFunction('sockets[0].readyState === 3')
    const closeWith = (code: number) => `sockets[0].onclose({ code: ${code} })`
    // A handshake that is rejected has no close code; so each code is tested on a socket that never opened.
    await page.evaluate(closeWith(1006))
    expect(await page.evaluate('waits')).toEqual([])
    await page.evaluate(`sockets.length = 0; ${reads}; sockets[0].onopen = null`)
    for (const code of [1000, 1005, 1006, 1014, 4508, 1002, 1003, 1007, 1008, 1009, 4400, 4404])
      await page.evaluate(closeWith(code))
    expect(await page.evaluate('waits.length')).toBe(5)
  })
})

const missing = python === undefined ? ' (skipped: needs python3-websockets)' : ''

describe.skipIf(missing)(`Python with websockets${missing}`, () => {
  it('speaks the exchange of the reference document', async () => {
    const millrace = createMillrace({ model: 'sim:count?n=5&tps=0' })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    expect(await run(python as string, '-c', ask, `${url.replace('http', 'ws')}/ws/chat`)).toBe('1 2 3 4 5 ')
  })

  it('reads a whole session despite cuts', async () => {
    const { url, proxy, start } = await startCutAnswer()
    expect(await run(python as string, '-c', read, `${url.replace('http', 'ws')}/ws/chat`, await start())).toBe(cutText)
    expect(proxy.accepted).toBeGreaterThan(cuts)
  })

  it('stops if a session is unknown, and when it is deleted while it is read', async () => {
    const model = { name: 'terse', stream: ({ signal }: { signal: AbortSignal }) => sayLittle(signal) }
    const millrace = createMillrace({ models: [model], model: 'terse' })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    const reading = (session: string) => run(python as string, '-c', read, `${url.replace('http', 'ws')}/ws/chat`, session)
    await expect(reading('unknown')).rejects.toMatchObject({ code: 1, stderr: 'session_not_found\n' })
    const { session } = await millrace.ask({ query: 'x' })
    const ended = expect(reading(session)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('4404') })
    await expect.poll(() => millrace.listConnections(session).length).toBe(1)
    await fetch(`${url}/api/sessions/${session}`, { method: 'DELETE' })
    await ended
  })

  async function* sayLittle(signal: AbortSignal): AsyncGenerator<string> {
    yield '1 '
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
  }
})

it('the guide has the same programs in both languages', () => {
  expect(programs(guide('.zh-CN'))).toEqual(programs(guide()))
  expect(programs(guide())).toHaveLength(7)
})
