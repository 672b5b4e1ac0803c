/** The commands beside `millrace start`, each as its users call it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { run } from './support/command.ts'
import { bearer, keys, pem, secret } from './support/tokens.ts'

const address = /API {4}(http:\S+)\/api\/openapi\.json/

function temporaryFolder(files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** What a command that ends prints on standard output, and its exit code. */
async function call(args: string[], env: Record<string, string> = {}, input = '', cwd?: string) {
  const { child, exited, stdout, output } = run(args, env, cwd)
  child.stdin.end(input)
  const code = await exited
  return { code, stdout: stdout(), output: output() }
}

async function startServer(args: string[] = [], env: Record<string, string> = {}) {
  const command = run(['start', '--port', '0', '--model', 'sim:count?n=3&tps=0', ...args], env)
  const [, url = ''] = await command.until(address)
  return { ...command, url }
}

it.each(['start', 'dev', 'token', 'keys', 'tail', 'publish', 'config'])('millrace %s --help describes it', async (name) => {
  const { code, stdout } = await call([name, '--help'])
  expect([code, stdout]).toEqual([0, expect.stringMatching(`^Usage: millrace ${name}`)])
  expect((await call(['--help'])).stdout).toMatch(new RegExp(`^ {2}${name} +\\w`, 'm'))
})

describe('an open server', () => {
  const args = ['start', '--port', '0', '--model', 'sim:count', '--host']

  it.each(['0.0.0.0', '::', '192.0.2.1', 'example.com'])('does not start on %s, and says what to set', async (host) => {
    const { code, output } = await call([...args, host])
    expect(code).toBe(2)
    expect(output).toMatch(
      `everybody who reaches ${host} could use this server. Set MILLRACE_JWT_SECRET or MILLRACE_JWKS_URL, or give --open`,
    )
    // An admin key adds to what everybody may do.
    expect((await call([...args, host], { MILLRACE_ADMIN_KEY: 'an-admin-key-of-a-test' })).code).toBe(2)
    expect((await call([...args, host], { MILLRACE_ALLOW_ANONYMOUS: 'true' })).code).toBe(2)
  })

  it.each<[string, string[], Record<string, string>]>([
    ['--open', ['--open'], {}],
    ['MILLRACE_OPEN', [], { MILLRACE_OPEN: '1' }],
    ['authentication', [], { MILLRACE_JWT_SECRET: secret }],
    ['API keys only', [], { MILLRACE_ALLOW_ANONYMOUS: 'false' }],
  ])('starts on every address with %s', async (_what, more, env) => {
    await run([...args, '0.0.0.0', ...more], env).until(/Users {2}/)
  })

  it.each(['127.0.0.1', 'localhost', '127.0.0.2'])('starts on %s, and says that it is open', async (host) => {
    await run([...args, host]).until(/Users {2}everybody who can reach .*; nobody is asked for a token/)
  })

  it('is on this machine with millrace dev, whatever HOST says', async () => {
    const [, url] = await run(['dev', '--port', '0', '--model', 'sim:count'], { HOST: '0.0.0.0' }).until(address)
    expect(new URL(url as string).hostname).toBe('127.0.0.1')
  })
})

describe('millrace config print', () => {
  const folder = () =>
    temporaryFolder({
      'millrace.config.mjs':
        "export default { port: 1, model: 'sim:echo', authorize() {}, access: { adminKey: 'sentinel-of-a-test' } }",
    })
  const env = { PORT: '2', MILLRACE_JWT_SECRET: 'sentinel-of-the-environment', MILLRACE_ENGINE: 'redis://user:sentinel@host' }

  it('prints each value and where it is from, and no secret', async () => {
    const { code, output } = await call(['config', 'print', '--host', 'localhost'], env, '', folder())
    expect(code).toBe(0)
    expect(output).toMatch(/^port +2 +environment PORT$/m)
    expect(output).toMatch(/^host +localhost +flag --host$/m)
    expect(output).toMatch(/^model +sim:echo +file millrace\.config\.mjs$/m)
    expect(output).toMatch(/^graceSeconds +8 +default$/m)
    expect(output).toMatch(/^authorize +\(function\) +file/m)
    expect(output).toMatch(/^access\.adminKey +\(secret\) +file/m)
    expect(output).toMatch(/^engine +redis:\/\/user:\(secret\)@host +environment/m)
    expect(output).not.toMatch('sentinel')
  })

  it('prints JSON with --json', async () => {
    const { stdout } = await call(['config', 'print', '--json'], env, '', folder())
    expect(stdout).not.toMatch('sentinel')
    const list = JSON.parse(stdout) as { key: string }[]
    expect(list.find(({ key }) => key === 'port')).toEqual({ key: 'port', value: 2, source: 'environment', from: 'PORT' })
    expect(list.find(({ key }) => key === 'jwt.secret')).toMatchObject({ value: '(secret)', source: 'environment' })
  })
})

describe('millrace token', () => {
  const env = { MILLRACE_JWT_SECRET: secret }

  it('makes a token that a server with the same secret accepts, with exactly what it says', async () => {
    const { stdout } = await call(['token', '--sub', 'ada', '--may', 'session.create', '--ttl', '5m'], env)
    const { url } = await startServer([], env)
    const headers = { ...bearer(stdout.trim()), 'content-type': 'application/json' }
    expect((await fetch(`${url}/api/sessions`, { method: 'POST', headers, body: '{}' })).status).toBe(201)
    expect((await fetch(`${url}/api/publish`, { method: 'POST', headers, body: '{"channel":"c","data":1}' })).status).toBe(403)
  })

  it.each(['EdDSA', 'ES256', 'RS256'] as const)('signs with a private key: %s', async (algorithm) => {
    const path = join(
      temporaryFolder({ key: keys[algorithm].privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }),
      'key',
    )
    const { stdout } = await call(['token', '--sub', 'ada', '--key', path])
    const publicKey = { MILLRACE_JWT_PUBLIC_KEY: pem(keys[algorithm].publicKey) }
    const { code, stdout: verdict } = await call(['token', 'verify', '--json'], publicKey, stdout)
    expect([code, JSON.parse(verdict)]).toMatchObject([
      0,
      { isAccepted: true, header: { alg: algorithm }, claims: { sub: 'ada' } },
    ])
  })

  it('says why a token is not accepted, and what it says', async () => {
    const { stdout: token } = await call(['token', '--sub', 'ada'], env)
    const other = { MILLRACE_JWT_SECRET: 'x'.repeat(40) }
    const { code, output } = await call(['token', 'verify', token.trim()], other)
    expect([code, output]).toEqual([1, expect.stringMatching(/"sub": "ada"[\s\S]*Not accepted: /)])
    expect(await call(['token', 'verify', token.trim()])).toMatchObject({
      code: 1,
      output: expect.stringMatching('No key is configured'),
    })
    expect(await call(['token', 'verify', 'nonsense'], env)).toMatchObject({ code: 1 })
  })

  it.each([
    [['--sub', 'ada', '--may', 'session.reed'], '--may cannot be used'],
    [['--sub', 'ada', '--ttl', 'long'], '--ttl takes a time such as 90s, 15m, 1h or 7d, not "long"'],
    [['--sub', 'anonymous'], '--sub cannot be used'],
    [[], '--sub cannot be used'],
    [['make'], 'Say --sub <user>'],
  ])('rejects %j', async (args, sentence) => {
    expect(await call(['token', ...args], env)).toMatchObject({ code: 2, output: expect.stringMatching(sentence) })
  })
})

describe('millrace keys', () => {
  const adminKey = 'an-admin-key-of-a-test'
  const open = async () => {
    const { url } = await startServer([], { MILLRACE_JWT_SECRET: secret, MILLRACE_ADMIN_KEY: adminKey })
    return { url, env: { MILLRACE_URL: url, MILLRACE_ADMIN_KEY: adminKey } }
  }

  it('creates a key that works, lists it without the key, and revokes it', async () => {
    const { url, env } = await open()
    const created = await call(['keys', 'create', '--name', 'backend', '--may', 'channel.publish, ticket.create'], env)
    const key = created.stdout.trim()
    expect([created.code, key]).toEqual([0, expect.stringMatching(/^mr_[\w-]{55}$/)])
    const publish = { MILLRACE_URL: url, MILLRACE_TOKEN: key }
    expect(await call(['publish', 'c', '1'], publish)).toMatchObject({ code: 0 })
    const list = await call(['keys', 'list', '--json'], env)
    const [listed] = JSON.parse(list.stdout) as { id: string }[]
    expect(listed).toMatchObject({ name: 'backend', may: ['channel.publish', 'ticket.create'] })
    expect(list.stdout).not.toMatch(key)
    expect((await call(['keys', 'list'], env)).stdout).toMatch(
      /^id +name +may +created\n\S+ +backend +channel\.publish,ticket\.create +2/,
    )
    expect(await call(['keys', 'revoke', listed?.id ?? ''], env)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching('is revoked'),
    })
    expect(await call(['publish', 'c', '1'], publish)).toMatchObject({
      code: 1,
      output: expect.stringMatching('(token_rejected)'),
    })
  })

  it('ends with 1 for an unknown key, also one with a dash, and for somebody who may not', async () => {
    const { url, env } = await open()
    for (const id of ['absent', '-AAAAAAAAAAA'])
      expect(await call(['keys', 'revoke', id], env)).toMatchObject({ code: 1, output: expect.stringMatching('(not_found)') })
    const { stdout: token } = await call(['token', '--sub', 'ada'], { MILLRACE_JWT_SECRET: secret })
    const stranger = { MILLRACE_URL: url, MILLRACE_TOKEN: token.trim() }
    expect(await call(['keys', 'list'], stranger)).toMatchObject({ code: 1, stdout: '' })
  })

  it.each([[['make']], [['create']], [['list', '--name', 'x']], [['revoke']], [['revoke', 'a', 'b']], [[]]])(
    'rejects %j',
    async (args) => {
      expect(await call(['keys', ...args])).toMatchObject({ code: 2 })
    },
  )
})

describe('millrace publish and millrace tail', () => {
  it('append an event once, and print what is in a channel and what arrives', async () => {
    const { url } = await startServer()
    const env = { MILLRACE_URL: url }
    expect(await call(['publish', 'prices', '{"price":1}', '--id', 'a', '--event', 'price'], env)).toMatchObject({ code: 0 })
    const again = await call(['publish', 'channel/prices', '{"price":1}', '--id', 'a', '--json'], env)
    expect(JSON.parse(again.stdout)).toMatchObject({ channel: 'prices', duplicate: true })
    const tail = run(['tail', 'channel/prices', '--json'], env)
    await tail.until(/\n/)
    await call(['publish', 'prices'], env, 'plain text\n')
    await tail.until(/plain text/)
    const lines = tail.stdout().trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { id: expect.any(String), event: 'price', data: { price: 1 } },
      { id: expect.any(String), event: 'message', data: 'plain text' },
    ])
  })

  it('go on after the server was restarted, without a repeat', async () => {
    const folder = temporaryFolder()
    const data = ['--engine', 'sqlite', '--data', folder]
    const first = await startServer(data)
    const port = new URL(first.url).port
    const env = { MILLRACE_URL: first.url }
    await call(['publish', 'c', '1'], env)
    const tail = run(['tail', 'channel/c'], env)
    await tail.until(/message {2}1\n/)
    first.child.kill('SIGKILL')
    await first.exited
    await tail.until(/The connection was lost\. Trying again\./)
    await startServer([...data, '--port', port])
    await call(['publish', 'c', '2'], env)
    await tail.until(/message {2}2\n/)
    expect(tail.stdout().match(/message {2}\d/g)).toEqual(['message  1', 'message  2'])
  })

  it('print a session, and end with 1 where it does not exist', async () => {
    const { url } = await startServer()
    const headers = { 'content-type': 'application/json' }
    await fetch(`${url}/api/sessions`, { method: 'POST', headers, body: '{"id":"s"}' })
    const tail = run(['tail', 's', '--url', url])
    await (await fetch(`${url}/api/chat?query=x&session=s`)).text()
    await tail.until(/stream_end {2}/)
    expect(tail.stdout()).toMatch(/^\S+ {2}stream_start {2}\{/)
    expect(await call(['tail', 'absent', '--url', url])).toMatchObject({
      code: 1,
      output: expect.stringMatching('session_not_found'),
    })
    expect(await call(['tail', 's', '--url', 'http://127.0.0.1:9'])).toMatchObject({
      code: 1,
      output: expect.stringMatching('No server responds'),
    })
  })

  it('use the token of the environment, and print the error of a server that rejects it', async () => {
    const { url } = await startServer([], { MILLRACE_JWT_SECRET: secret })
    const { stdout: token } = await call(['token', '--sub', 'ada'], { MILLRACE_JWT_SECRET: secret })
    const env = { MILLRACE_URL: url }
    expect(await call(['publish', 'c', '1'], env)).toMatchObject({ code: 1, output: expect.stringMatching('(unauthenticated)') })
    expect(await call(['publish', 'c', '1'], { ...env, MILLRACE_TOKEN: token.trim() })).toMatchObject({ code: 0 })
    const file = join(temporaryFolder({ token }), 'token')
    expect(await call(['publish', 'c', '1'], { ...env, MILLRACE_TOKEN_FILE: file })).toMatchObject({ code: 0 })
  })
})
