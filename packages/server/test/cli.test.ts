import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cli, run } from './support/command.ts'
import { ask } from './support/raw.ts'
import { counted, openStream, textOf } from './support/stream.ts'
import { bearer, keySet, keys, pem, secret, sign } from './support/tokens.ts'

describe('millrace start', () => {
  it('prints the page, the API, a curl line and the model, and serves them', async () => {
    const { until } = run(['start', '--port', '0', '--model', 'sim:count?n=5&tps=0'])
    const [, url] = await until(/API {4}(http:\S+)\/api\/openapi\.json/)
    const [banner] = await until(/curl -N "[^"]+"[\s\S]*Model {2}.*/)
    expect(banner).toMatch('sim:count?n=5&tps=0')
    expect(textOf(await (await openStream(`${url}/api/chat?query=x`)).rest())).toBe(counted(1, 5))
  })

  it('reads port and model from the environment, overridden by the options', async () => {
    const env = { PORT: '1', MILLRACE_MODEL: 'sim:echo' }
    await run(['--port', '0'], env).until(/Model {2}sim:echo/)
    await run(['--port', '0', '--model', 'sim:count'], env).until(/Model {2}sim:count/)
  })

  it.each([
    ['--host-name, given again or with commas', ['--host-name', 'a.example, b.example', '--host-name', 'c.example'], {}],
    ['the environment', [], { MILLRACE_HOST_NAMES: 'a.example,b.example,c.example' }],
  ])('answers to the names of %s', async (_what, args, env: Record<string, string>) => {
    const [, port] = await run(['--port', '0', '--model', 'sim:count', ...args], env).until(/127\.0\.0\.1:(\d+)/)
    for (const host of ['a.example', 'b.example', 'c.example']) {
      expect(await ask(Number(port), 'GET /healthz', { host })).toBe('200')
    }
    expect(await ask(Number(port), 'GET /healthz', { host: 'd.example' })).toBe('403 host_not_allowed')
  })

  it('names the Node version it needs before it loads anything that needs it', async () => {
    const old = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })'
    const bin = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
    const child = spawn(process.execPath, [
      '--import',
      `data:text/javascript,${old}`,
      '--conditions=millrace-source',
      bin,
      'start',
    ])
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
    expect([code, said]).toEqual([1, 'millrace: Millrace needs Node 22.19 or newer, and this is Node 20.20.2.\n'])
  })

  it('creates the folder for its data', async () => {
    const folder = join(mkdtempSync(join(tmpdir(), 'millrace-')), 'deep', 'data')
    await run(['--port', '0', '--model', 'sim:count', '--engine', 'sqlite', '--data', folder]).until(/Logs/)
    expect(existsSync(join(folder, 'millrace.db'))).toBe(true)
  })

  it('flushes its data to the disk with --durability disk', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const args = ['--port', '0', '--model', 'sim:count', '--engine', 'sqlite', '--data', folder]
    await run([...args, '--durability', 'disk']).until(/Logs {3}kept in .*, flushed to the disk\n/)
    expect(readFileSync(join(folder, 'millrace.marker'), 'utf8')).toMatch('"isFlushed":true')
  })

  it('rejects a misspelled command', async () => {
    const { exited, output } = run(['strat'])
    expect(await exited).toBe(2)
    expect(output()).toMatch('There is no command "strat". Did you mean "start"?')
  })

  it('rejects a misspelled variable, but not those with which Kubernetes describes a service of this name', async () => {
    const ofService = {
      MILLRACE_SERVICE_HOST: '10.0.0.1',
      MILLRACE_PORT: 'tcp://10.0.0.1:80',
      MILLRACE_PORT_80_TCP_ADDR: '10.0.0.1',
    }
    await run(['--port', '0', '--model', 'sim:count'], ofService).until(/Logs/)
    const { exited, output } = run(['--port', '0'], { MILLRACE_ORIGIN: 'https://app.example.com' })
    expect(await exited).toBe(2)
    expect(output()).toMatch('There is no variable MILLRACE_ORIGIN. Did you mean "MILLRACE_ORIGINS"?')
  })

  it.each([
    [['--port', 'x'], '--port takes a number from 0 to 65535, not "x"'],
    [['--port', '70000'], '--port takes a number'],
    [['--model', 'sim:count', '--host-name', 'https://a.example'], '"https://a.example" is not a host name'],
    [['--nothing'], 'There is no option --nothing.'],
    [['--prot', '1'], 'There is no option --prot. Did you mean "--port"?'],
    [['--engine', 'paper'], 'There is no engine "paper"; give memory, sqlite, redis://host:6379 or nats://host:4222.'],
    [['--engine', 'reids://me:password@host'], 'There is no engine "reids://…"'],
    [['--jwt-secret', 'x'], 'There is no option --jwt-secret; set MILLRACE_JWT_SECRET.'],
    [['--host', '192.0.2.1', '--open'], 'This machine does not have the address 192.0.2.1; choose another with --host'],
    [['--config', 'absent.json'], /There is no file .*absent\.json; correct --config/],
    [['more'], 'There is no argument "more"; every setting is an option.'],
    [['--grace', 'long'], '--grace takes seconds from 0 to 3600, not "long"'],
    [['--keep', '0'], '--keep takes days, more than 0 and up to 36500, not "0"'],
    [['--workers', '0'], '--workers takes a number from 1 to 64, not "0"'],
    [['--workers', '2'], '--workers needs an engine that servers share, redis://… or nats://…; "memory" is not shared.'],
    [['--engine', 'sqlite', '--workers', '2'], '--workers needs an engine that servers share'],
    [['--engine', 'sqlite', '--durability', 'none'], '--durability takes process or disk, not "none"'],
    [['--durability', 'disk'], '--durability applies to the engine sqlite only, not to "memory".'],
    [['--model', 'nobody'], 'No model has this name'],
    [['--model', 'sim:count?n=x'], 'n takes a number from 0'],
  ])('rejects %j with a sentence and the usage, without a stack', async (args, message) => {
    const { exited, output } = run(['--port', '0', ...args])
    expect(await exited).toBe(2)
    expect(output()).toMatch(message)
    expect(output()).toMatch('--help says what can be set.')
    expect(output()).not.toMatch(/\n\s+at /)
  })

  it('deletes a session that is unused for longer than --keep', async () => {
    const [, url] = await run(['--port', '0', '--model', 'sim:count', '--keep', '0.000004']).until(/API {4}(http:\S+)\/api/)
    const headers = { 'content-type': 'application/json' }
    await fetch(`${url}/api/sessions`, { method: 'POST', headers, body: JSON.stringify({ id: 'left' }) })
    await expect.poll(async () => (await fetch(`${url}/api/sessions/left`)).status, { timeout: 10_000 }).toBe(404)
  })

  it('names the port that is taken', async () => {
    const [, port = ''] = await run(['--port', '0', '--model', 'sim:count']).until(/127\.0\.0\.1:(\d+)/)
    const { exited, output } = run(['--port', port, '--model', 'sim:count'])
    expect(await exited).toBe(2)
    expect(output()).toMatch(`Port ${port} is taken; choose another with --port.`)
  })

  it('names the port of metrics that is taken', async () => {
    const [, port = ''] = await run(['--port', '0', '--model', 'sim:count']).until(/127\.0\.0\.1:(\d+)/)
    const { exited, output } = run(['--port', '0', '--model', 'sim:count', '--metrics-port', port])
    expect(await exited).toBe(2)
    expect(output()).toMatch(`Port ${port} is taken; choose another with --metrics-port.`)
  })

  it('exits on SIGTERM after its readers have the ends of their runs', async () => {
    const { child, until, exited } = run(['--port', '0', '--model', 'sim:hang?after=1&tps=0', '--grace', '0.2'])
    const [, url] = await until(/API {4}(http:\S+)\/api/)
    const stream = await openStream(`${url}/api/chat?query=x`)
    await stream.until('message')
    child.kill('SIGTERM')
    expect((await stream.rest()).map(({ event }) => event)).toEqual(['stream_end'])
    expect(await exited).toBe(0)
  })

  it('prints one sentence and exits with 1 when closing fails', async () => {
    const broken = "import { Server } from 'node:http'; Server.prototype.close = () => { throw new Error('The disk is gone.') }"
    const { child, until, exited, output } = run(['--port', '0', '--model', 'sim:count'], {
      NODE_OPTIONS: `--import="data:text/javascript,${encodeURIComponent(broken)}"`,
    })
    await until(/Logs/)
    child.kill('SIGTERM')
    expect(await exited).toBe(1)
    expect(output()).toMatch(/\nmillrace: The disk is gone\.\n$/)
    expect(output()).not.toMatch(/\n\s+at /)
  })

  it('prints one sentence and exits with 1 when it cannot create the folder for its data', async () => {
    const { exited, output } = run(['--port', '0', '--model', 'sim:count', '--engine', 'sqlite', '--data', cli])
    expect(await exited).toBe(1)
    expect(output()).toMatch(/^millrace: .*EEXIST.*\n$/)
  })
})

describe('who may use millrace start', () => {
  const args = ['--port', '0', '--model', 'sim:count']
  const statusOf = async (url: string, token?: string) =>
    (await fetch(`${url}/api/models`, token === undefined ? {} : { headers: bearer(token) })).status

  /** Starts it with this environment, and returns its address. */
  async function startWith(env: Record<string, string>): Promise<string> {
    const [, url] = await run(args, env).until(/API {4}(http:\S+)\/api\/openapi\.json/)
    return url as string
  }

  function writeSecret(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'secret')
    writeFileSync(path, text)
    return path
  }

  it('is everybody by default', async () => {
    expect(await statusOf(await startWith({}))).toBe(200)
  })

  it.each([
    ['a secret', async () => [{ MILLRACE_JWT_SECRET: secret }, await sign()] as const],
    ['a secret in a file', async () => [{ MILLRACE_JWT_SECRET_FILE: writeSecret(`${secret}\n`) }, await sign()] as const],
    [
      'a public key on one line',
      async () => {
        const MILLRACE_JWT_PUBLIC_KEY = pem(keys.ES256.publicKey).replaceAll('\n', '\\n')
        return [{ MILLRACE_JWT_PUBLIC_KEY }, await sign({}, { key: keys.ES256.privateKey, header: { alg: 'ES256' } })] as const
      },
    ],
    [
      'a key set in a file',
      async () => {
        const MILLRACE_JWKS_URL = writeSecret(await keySet({ a: keys.EdDSA.publicKey }))
        const token = await sign({}, { key: keys.EdDSA.privateKey, header: { alg: 'EdDSA', kid: 'a' } })
        return [{ MILLRACE_JWKS_URL }, token] as const
      },
    ],
    [
      'a secret, an issuer and an audience',
      async () => {
        const env = { MILLRACE_JWT_SECRET: secret, MILLRACE_JWT_ISSUER: 'https://id.example', MILLRACE_JWT_AUDIENCE: 'chat' }
        return [env, await sign({ iss: 'https://id.example', aud: 'chat' })] as const
      },
    ],
  ])('is everybody with a token, given %s', async (_what, prepare) => {
    const [env, token] = await prepare()
    const url = await startWith(env)
    expect([await statusOf(url), await statusOf(url, 'nonsense'), await statusOf(url, token)]).toEqual([401, 401, 200])
    if ('MILLRACE_JWT_ISSUER' in env) expect(await statusOf(url, await sign())).toBe(401)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it('are also servers with the admin key, which get tickets for users', async () => {
    const adminKey = 'an-admin-key-of-a-test'
    const url = await startWith({ MILLRACE_JWT_SECRET: secret, MILLRACE_ADMIN_KEY: adminKey })
    const body = JSON.stringify({ sub: 'ada', may: ['session.read'], ttl: 60 })
    const headers = { ...bearer(adminKey), 'content-type': 'application/json' }
    const response = await fetch(`${url}/api/tickets`, { method: 'POST', headers, body })
    expect([response.status, await response.json()]).toEqual([201, { ticket: expect.any(String), expiresAt: expect.any(Number) }])
    const configuration = await (await fetch(`${url}/api/admin/configuration`, { headers: bearer(adminKey) })).text()
    expect(configuration).toContain(
      '{"key":"access.adminKey","value":"(secret)","source":"environment","from":"MILLRACE_ADMIN_KEY"}',
    )
    expect(configuration).toContain('"source":"flag","from":"--port"}')
    for (const hidden of [adminKey, secret]) expect(configuration).not.toContain(hidden)
  })

  it.each([
    ['start', {}, 202],
    ['start', { MILLRACE_JWT_SECRET: secret }, 404],
    ['dev', { MILLRACE_JWT_SECRET: secret }, 202],
    ['start', { MILLRACE_JWT_SECRET: secret, MILLRACE_MODEL: 'sim:echo' }, 202],
  ])('may name the models of sim: with millrace %s and %o: %d', async (command, env: Record<string, string>, status) => {
    const [, url] = await run([command, '--port', '0'], env).until(/API {4}(http:\S+)\/api\/openapi\.json/)
    const body = JSON.stringify({ query: 'x', models: ['sim:echo'] })
    const headers = { ...bearer(await sign()), 'content-type': 'application/json', accept: 'application/json' }
    expect((await fetch(`${url}/api/chat`, { method: 'POST', headers, body })).status).toBe(status)
  })

  it('prints no credential, whatever is wrong with it', async () => {
    const command = run(args, { MILLRACE_JWT_SECRET: secret })
    const [, url] = await command.until(/API {4}(http:\S+)\/api\/openapi\.json/)
    const sentinel = 'sentinel-of-a-credential'
    const tokens = [
      sentinel,
      `mr_${sentinel}`,
      await sign({ sub: sentinel, exp: 1 }),
      await sign({ millrace: { [sentinel]: 1 } }),
    ]
    for (const token of tokens) {
      expect(await statusOf(url as string, token)).toBe(401)
      for (const path of ['/api/chat?query=x', '/api/stream?session=s'])
        expect((await fetch(`${url}${path}&ticket=${token}`)).status).toBe(401)
    }
    command.child.kill('SIGTERM')
    await command.exited
    for (const part of [secret, sentinel, ...tokens]) expect(command.output()).not.toContain(part)
  })

  it.each([
    [{ MILLRACE_JWT_SECRET: 'much-too-short-a-secret' }, /secret of tokens is too short/],
    [{ MILLRACE_JWT_SECRET: '' }, /MILLRACE_JWT_SECRET is empty/],
    [{ MILLRACE_JWT_SECRET: secret, MILLRACE_JWT_SECRET_FILE: '/dev/null' }, /both set/],
    [
      { MILLRACE_JWT_SECRET_FILE: '/nowhere/secret' },
      /MILLRACE_JWT_SECRET_FILE names \/nowhere\/secret, which cannot be read \(ENOENT\)/,
    ],
    [{ MILLRACE_JWT_SECRET_FILE: '/dev/null' }, /MILLRACE_JWT_SECRET_FILE names \/dev\/null, which is empty/],
    [{ MILLRACE_JWKS_URL: 'http://keys.example/jwks.json' }, /use https:/],
    [{ MILLRACE_JWT_AUDIENCE: 'chat' }, /MILLRACE_JWT_AUDIENCE need/],
    [{ MILLRACE_ADMIN_KEY: 'short' }, /admin key is too short/],
    [{ MILLRACE_ORIGINS: 'app.example.com' }, /not an origin/],
    [{ MILLRACE_TRUSTED_PROXIES: 'proxy' }, /not an address or network/],
  ])('is nobody with %o: it does not start, and says why', async (env: Record<string, string>, sentence) => {
    const { exited, output } = run(args, env)
    expect(await exited).toBe(2)
    expect(output()).toMatch(sentence)
    for (const value of ['much-too-short-a-secret', secret]) expect(output()).not.toContain(value)
  })
})
