/** `millrace doctor` against real proxies: it tells a good one from those that break streams, and prints the fix. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createMillrace, type MillraceOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../src/index.ts'
import { startCaddy } from '../src/servers/caddy.ts'
import { runNginx, startNginx } from '../src/servers/nginx.ts'
import { findPort } from '../src/servers/port.ts'
import { sideBySide } from './support/side-by-side.ts'

const cli = fileURLToPath(new URL('../../packages/server/src/cli/index.ts', import.meta.url))

interface Report {
  readonly proxy: string | null
  readonly findings: readonly { readonly id: string; readonly level: string; readonly text: string; readonly fix?: object }[]
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, ['--conditions=millrace-source', cli, 'doctor', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  return { code: code as number, output }
}

/** The ids of the problems, and the whole report. */
async function examine(url: string, ...args: string[]) {
  const { code, output } = await run([url, '--json', ...args])
  const report = JSON.parse(output) as Report
  const problems = report.findings.filter(({ level }) => level === 'problem')
  expect(code).toBe(problems.length === 0 ? 0 : 1)
  return { ...report, problems: problems.map(({ id }) => id), texts: problems.map(({ text }) => text) }
}

const trusting = { trustedProxies: ['127.0.0.1'] }

async function startServer(options: MillraceOptions = {}): Promise<string> {
  const millrace = createMillrace({
    model: 'sim:count',
    heartbeatMs: 300,
    access: { trustedProxies: ['127.0.0.1'] },
    ...options,
  })
  onTestFinished(() => millrace.close())
  return (await millrace.listen({ port: 0 })).url
}

const forwarded = 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header Host $http_host;'
const upgrade = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;'

/** A good nginx, with these differences. */
function nginx(url: string, api = '', ws = upgrade): Promise<string> {
  const pass = `${api.includes('gzip') ? '' : 'gzip off;'} proxy_pass ${url}; ${forwarded}`
  return startNginx(`location / { ${pass} ${api} } location /ws/ { ${pass} ${ws} }`)
}

/** Directives of the site, and of its proxy. */
function caddy(url: string, proxy = '', site = ''): Promise<string> {
  return startCaddy(`${site}\nreverse_proxy ${url} {\n${proxy}\n}`)
}

/** nginx with TLS and a redirect to it. */
async function startTls(url: string, listen: string, more: string) {
  const folder = makeFolder()
  const [key, certificate] = [`${folder}/key.pem`, `${folder}/cert.pem`]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...names, '-keyout', key, '-out', certificate]
  expect(spawnSync('openssl', args).status).toBe(0)
  const [port, tlsPort] = [await findPort(), await findPort()]
  const secure = `https://localhost:${tlsPort}`
  await runNginx(
    `server { listen 127.0.0.1:${port}; return 301 ${secure}$request_uri; }
     server { listen 127.0.0.1:${tlsPort} ${listen}; ssl_certificate ${certificate}; ssl_certificate_key ${key};
       location / { proxy_pass ${url}; ${forwarded} ${more} } location /ws/ { proxy_pass ${url}; ${forwarded} ${upgrade} } }`,
  )
  return { plain: `http://localhost:${port}`, secure, certificate }
}

const hides = 'proxy_ignore_headers X-Accel-Buffering;'

type Case = readonly [what: string, proxy: string | null, start: (url: string) => Promise<string>, problems: readonly string[]]

describe('millrace doctor', () => {
  const proxies: readonly Case[] = [
    ['no proxy', null, async (url: string) => url, []],
    ['nginx', 'nginx', (url: string) => nginx(url), []],
    ['Caddy', 'Caddy', (url: string) => caddy(url), []],
    ['nginx that buffers', 'nginx', (url: string) => nginx(url, hides), ['buffering']],
    ['Caddy that buffers', 'Caddy', (url: string) => caddy(url, 'buffer_responses'), ['buffering', 'websocket_blocked']],
    ['nginx that compresses', 'nginx', (url: string) => nginx(url, 'gzip on;'), ['compression']],
    ['Caddy that compresses', 'Caddy', (url: string) => caddy(url, '', 'encode gzip'), ['buffering', 'compression']],
    ['nginx without Upgrade', 'nginx', (url: string) => nginx(url, '', ''), ['websocket_blocked']],
    ['Caddy without Upgrade', 'Caddy', (url: string) => caddy(url, 'header_up -Upgrade'), ['websocket_blocked']],
    [
      'nginx that removes headers',
      'nginx',
      (url: string) => nginx(url, 'proxy_set_header Last-Event-ID ""; proxy_set_header Authorization "";'),
      ['last_event_id_stripped', 'authorization_stripped'],
    ],
    [
      'Caddy that removes headers',
      'Caddy',
      (url: string) => caddy(url, 'header_up -Last-Event-ID\nheader_up -Authorization\nheader_up -X-Forwarded-For'),
      ['last_event_id_stripped', 'authorization_stripped', 'address_hidden'],
    ],
    [
      'nginx that allows every page',
      'nginx',
      (url: string) => nginx(url, 'add_header Access-Control-Allow-Origin * always;'),
      ['origin_open'],
    ],
    ['nginx that does not reach it', 'nginx', () => nginx('http://127.0.0.1:1'), ['unreachable']],
    [
      'nginx that claims to be Millrace',
      'nginx',
      () =>
        startNginx(
          `location / { default_type text/event-stream; return 200 'event: seen\\ndata: {"version":"\\u001b[2J"}\\n\\n'; }`,
        ),
      ['not_millrace'],
    ],
    ['nginx that serves something else', 'nginx', () => startNginx('location / { return 200 "hello"; }'), ['not_millrace']],
  ]

  // Each waits for some seconds, so a few are examined side by side.
  it('tells good proxies from those that break streams', { timeout: 60_000 }, async () => {
    await sideBySide(proxies, 5, async ([what, proxy, start, problems]) => {
      const report = await examine(await start(await startServer()))
      expect.soft([what, report.problems, report.texts]).toEqual([what, problems, expect.anything()])
      if (problems[0] !== 'unreachable' && problems[0] !== 'not_millrace')
        expect.soft([what, report.proxy]).toEqual([what, proxy])
    })
  })

  it('finds that nginx and Caddy close what is idle for 10 s, before the heartbeat of 15 s', { timeout: 40_000 }, async () => {
    const url = await startServer({ heartbeatMs: 15_000 })
    const idle = [
      await nginx(url, 'proxy_read_timeout 10s;', `${upgrade} proxy_read_timeout 10s;`),
      await caddy(url, 'transport http {\nread_timeout 10s\n}'),
    ]
    for (const { problems, texts } of await Promise.all(idle.map((proxy) => examine(proxy)))) {
      expect(problems).toEqual(['idle_timeout', 'idle_timeout'])
      expect(texts).toEqual([
        expect.stringMatching(/^A silent stream is cut after 1[0-2](\.\d)? s, before the heartbeat of 15 s\.$/),
        expect.stringMatching(/^A silent WebSocket is cut after 1[0-2](\.\d)? s, before the heartbeat\.$/),
      ])
    }
  })

  it('prints the fix for each proxy, that of the recognized one first', async () => {
    const url = await nginx(await startServer(), hides)
    const { code, output } = await run([url])
    expect(code).toBe(1)
    expect(output).toMatch(/^\n\S+ \(Millrace \S+, behind nginx\)\n/)
    expect(output).toMatch(/ {2}problem {2}Streams are buffered: events of 1\.\d s arrived within 0(\.\d)? s\.\n/)
    expect(output).toMatch(
      /\n1 problem\.\n[\s\S]*\nbuffering: [^\n]+\n {4}nginx +proxy_buffering off;[^\n]+\n {4}Caddy +Remove [^\n]+\n {4}Cloudflare +Rules/,
    )
  })

  it('finds a certificate that cannot be verified, sends no token over it, and misses HTTP/2 and the scheme', async () => {
    const { secure } = await startTls(
      await startServer({ access: { ...trusting, tokens: { secret: 'x'.repeat(32) } } }),
      'ssl',
      '',
    )
    const [report, { output }] = await Promise.all([examine(secure), run([secure, '--json'], { MILLRACE_TOKEN: 'mr_a-key' })])
    expect(report.problems).toEqual(['certificate', 'http1', 'scheme_hidden'])
    expect(output).toMatch('The token was not sent, because the certificate is not valid.')
  })

  it('finds nothing where TLS is as it should be, and follows the redirect to it', async () => {
    const proto = 'proxy_set_header X-Forwarded-Proto $scheme;'
    const { plain, secure, certificate } = await startTls(await startServer(), 'ssl http2', proto)
    const follow = (url: string) => run([url, '--json'], { NODE_EXTRA_CA_CERTS: certificate })
    for (const { code, output } of await Promise.all([secure, plain].map(follow))) {
      expect([code, output]).toEqual([0, expect.stringContaining('"HTTP/2 is offered."')])
      expect(JSON.parse(output)).toMatchObject({ url: `${secure}/`, problems: 0 })
    }
  })

  it('finds that the server does not trust its proxy', async () => {
    const url = await startServer({ access: {} })
    // From another address: with one for all, nobody can say which it is.
    const other = await startNginx(
      `location / { proxy_pass ${url}; gzip off; proxy_set_header X-Forwarded-For 9.9.9.9; ${upgrade} }`,
    )
    expect((await examine(other)).problems).toEqual(['address_hidden'])
  })

  it('finds that a page of an allowed origin may use the server, unless a proxy answers its preflight', async () => {
    const url = await startServer({ access: { origins: ['https://app.example.com'], ...trusting } })
    const args = ['--origin', 'https://app.example.com']
    const [good, { problems, texts }] = await Promise.all([
      nginx(url).then((proxy) => examine(proxy, ...args)),
      nginx(url, 'if ($request_method = OPTIONS) { return 405; }').then((proxy) => examine(proxy, ...args)),
    ])
    expect(good.problems).toEqual([])
    expect([problems, texts]).toEqual([['origin_rejected'], ['Preflights of pages of https://app.example.com fail (405).']])
  })

  it('finds origins that are rejected, as the server itself is behind a proxy that replaces the host', async () => {
    const url = await startServer({ access: { origins: ['https://app.example.com'], ...trusting } })
    const proxy = await startNginx(
      `location / { proxy_pass ${url}; gzip off; proxy_set_header X-Forwarded-For $remote_addr; ${upgrade} }`,
    )
    const { problems, texts } = await examine(proxy, '--origin', 'https://other.example.com')
    expect(problems).toEqual(['origin_rejected', 'origin_rejected'])
    expect(texts[1]).toBe('Pages of https://other.example.com are rejected (403).')
  })
})
