/** The checks of `millrace doctor` that need no proxy: tokens, clocks, names, and how the command is used. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { examine } from '../src/cli/doctor/examine.ts'
import type { Finding } from '../src/cli/doctor/finding.ts'
import { fixes } from '../src/cli/doctor/fixes.ts'
import { isPublicName } from '../src/cli/doctor/public-name.ts'
import { startServer } from './support/server.ts'
import { forge, nowSeconds, secret, sign } from './support/tokens.ts'

const cli = fileURLToPath(new URL('../src/cli/index.ts', import.meta.url))
const withLogin = { heartbeatMs: 200, access: { tokens: { secret }, adminKey: 'an-admin-key-of-a-test' } }
const minute = 60

async function examineToken(token: string, now?: () => number): Promise<string[]> {
  const { url } = await startServer(withLogin)
  const { findings } = await examine({ url: new URL(url), token, ...(now && { now }) })
  return problemsOf(findings)
}

const problemsOf = (findings: readonly Finding[]) => findings.filter(({ level }) => level === 'problem').map(({ text }) => text)

type BadToken = readonly [what: string, make: () => Promise<string>, expected: readonly RegExp[]]

const badTokens: readonly BadToken[] = [
  ['has expired', () => sign({ exp: nowSeconds() - 5 * minute }), [/^The token has expired, at 2/]],
  ['is of the future', () => sign({ nbf: nowSeconds() + 5 * minute }), [/not valid before 2/]],
  [
    'never expires',
    async () => forge({ alg: 'HS256' }, { sub: 'ada' }, 'x'),
    [/never expires/, /rejects the token: token_rejected/],
  ],
  ['is valid for long', () => sign({ iat: nowSeconds(), exp: nowSeconds() + 60 * 60 * 24 * 30 }), [/more than a day/]],
  ['allows too much', () => sign({ millrace: { may: ['run.start', 'admin.*'] } }), [/^The token allows admin\.\*: too much/]],
  ['is of another issuer', () => sign({}, { key: Buffer.from(`${secret}x`) }), [/rejects the token: token_rejected/]],
  ['is a key', async () => 'mr_some-key_that-is-not', [/API key, which is for servers/, /rejects the token: token_rejected/]],
]

describe('a token', () => {
  it('for a page is fine, and opens the WebSocket', async () => {
    const token = await sign({ iat: nowSeconds(), exp: nowSeconds() + 15 * minute, millrace: { may: ['session.*', 'run.*'] } })
    const { url } = await startServer(withLogin)
    const { findings } = await examine({ url: new URL(url), token })
    expect(problemsOf(findings)).toEqual([])
    expect(findings.map(({ text }) => text)).toEqual(
      expect.arrayContaining(['The server accepts the token.', 'A WebSocket that is silent for 0.2 s stays open.']),
    )
  })

  // Each examination waits for two seconds, so they are made side by side.
  it('that is bad is reported, with the reason', async () => {
    await Promise.all(
      badTokens.map(async ([what, make, expected]) => {
        const found = await examineToken(await make())
        expect.soft([what, ...found]).toEqual([what, ...expected.map((pattern) => expect.stringMatching(pattern))])
      }),
    )
  })
})

it('clocks that differ by more than tokens bear are reported', async () => {
  const { url } = await startServer({ heartbeatMs: 200 })
  const examineAt = async (skewMs: number) =>
    problemsOf((await examine({ url: new URL(url), now: () => Date.now() + skewMs })).findings)
  expect(await Promise.all([45_000, -45_000, 3000].map(examineAt))).toEqual([
    [expect.stringMatching(/^The clocks .* differ by (44|45)(\.\d)? s: tokens are rejected beyond 30 s\.$/)],
    [expect.stringMatching(/^The clocks .* differ by 45/)],
    [],
  ])
})

it('knows a name of the internet', () => {
  for (const name of ['app.example.com', '8.8.8.8', '[2606:4700::1]', 'chat.example.com.'])
    expect([name, isPublicName(name)]).toEqual([name, true])
  for (const name of [
    'localhost',
    'a.localhost',
    '127.0.0.1',
    '[::1]',
    '10.1.2.3',
    '192.168.0.1',
    '[fd00::1]',
    'chat',
    'nas.local',
    'x.home.arpa',
  ])
    expect([name, isPublicName(name)]).toEqual([name, false])
})

it.each(['', '.zh-CN'])('everything that it finds is in the guide%s', (language) => {
  const guide = readFileSync(new URL(`../../../docs/guides/proxies${language}.md`, import.meta.url), 'utf8')
  for (const id of Object.keys(fixes)) expect(guide).toMatch(`\`${id}\``)
})

describe('the command', () => {
  async function run(args: readonly string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, ['--conditions=millrace-source', cli, 'doctor', ...args], {
      env: { ...process.env, ...env },
    })
    const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { code: code as number, output, errors }
  }

  it('takes a token from the environment, and never prints it', async () => {
    const { url } = await startServer(withLogin)
    const token = await sign({ exp: nowSeconds() - 5 * minute })
    const { code, output, errors } = await run([url, '--json'], { MILLRACE_TOKEN: token })
    const { problems } = JSON.parse(output) as { problems: number }
    expect([code, problems, errors]).toEqual([1, 1, ''])
    expect(output).not.toContain(token)
    expect(output).toMatch('"fix"')
  })

  it('exits with 0 where all is well, and with 1 where nothing answers', async () => {
    const { url } = await startServer({ heartbeatMs: 200 })
    expect((await run([url])).code).toBe(0)
    const { code, output } = await run(['http://127.0.0.1:1'])
    expect([code, output]).toEqual([1, expect.stringMatching(/problem {2}No response: .*ECONNREFUSED/)])
  })

  it.each([
    [[], 'millrace doctor takes one address, such as https://app.example.com.'],
    [['ftp://x.example'], '"ftp://x.example" is not an http or https address.'],
    [['http://x.example', '--origin', 'https://x.example/page'], '--origin takes an origin such as https://app.example.com'],
    [['--what'], 'There is no option --what.'],
  ])('used as %j exits with 2', async (args, message) => {
    const { code, errors } = await run(args)
    expect([code, errors]).toEqual([2, expect.stringContaining(message)])
    expect(errors).toMatch('millrace doctor --help says')
  })

  it('prints its help', async () => {
    const { code, output } = await run(['--help'])
    expect([code, output]).toEqual([0, expect.stringMatching(/^Usage: millrace doctor <url>/)])
  })
})
