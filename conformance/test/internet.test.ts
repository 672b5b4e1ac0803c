/**
 * The guide "Put it on the internet", from its text: the files that it shows and the commands that it gives, in their order,
 * with a real nginx and a real Redis. Ports are others and the name is `localhost`; `sudo` lines are done for nginx here.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, it, onTestFinished } from 'vitest'
import { makeFolder, startRedis } from '../src/index.ts'
import { runNginx } from '../src/servers/nginx.ts'
import { findPort } from '../src/servers/port.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const guide = read('docs/guides/internet.md')

/** The code blocks of a language, in order; with the file that a line before the block names. */
function blocksOf(markdown: string, language: string) {
  const pattern = new RegExp(`(?:^\`([\\w.]+)\`[:：]\\n\\n)?^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms')
  return [...markdown.matchAll(pattern)].map(([, file, code = '']) => ({ file, code }))
}

/** An identity provider of this machine: its keys, and tokens that it signs. */
async function startIssuer() {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'a', alg: 'ES256' }] })
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/.well-known/jwks.json' ? 200 : 404
    response.setHeader('content-type', 'application/json').end(keys)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  const sign = (audience: string) =>
    new SignJWT({ sub: 'carol', aud: audience, iss: url })
      .setProtectedHeader({ alg: 'ES256', kid: 'a' })
      .setIssuedAt()
      .setExpirationTime('15m')
      .sign(privateKey)
  return { url, sign }
}

async function startWorld() {
  const folder = makeFolder()
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const redis = await startRedis()
  onTestFinished(() => redis.close())
  const issuer = await startIssuer()
  const ports: Record<string, number> = {}
  for (const port of ['80', '443', '4601', '4602', '9601', '9602']) ports[port] = await findPort()
  /** What is different here. */
  const here = (code: string) =>
    code
      .replaceAll('https://app.example.com', `https://localhost:${ports['443']}`)
      .replaceAll('https://id.example.com', issuer.url)
      .replaceAll('redis://127.0.0.1:6379', redis.url)
      .replaceAll('app.example.com', 'localhost')
      .replaceAll('/etc/nginx/certs', folder)
      .replace(/\blisten (\d+)/g, (_, port: string) => `listen 127.0.0.1:${ports[port]}`)
      .replace(/\b(4601|4602|9601|9602)\b/g, (port) => String(ports[port]))
      .replace('npx millrace', `node --conditions=millrace-source ${root}packages/server/src/cli/index.ts`)
  // Without the keys of models, which would answer for money.
  const { PATH = '', HOME = '' } = process.env
  const env = {
    PATH: `${join(process.execPath, '..')}:${PATH}`,
    HOME,
    NODE_OPTIONS: '--conditions=millrace-source',
    TOKEN: await issuer.sign('chat'),
  }

  /** Resolves when the shell has ended; what it left in the background ends with the test. */
  async function run(code: string, more: Record<string, string> = {}): Promise<string> {
    const shell = spawn('bash', ['-c', here(code)], { cwd: folder, env: { ...env, ...more }, detached: true })
    onTestFinished(() => {
      try {
        process.kill(-(shell.pid as number), 'SIGKILL')
      } catch {
        // Nothing is left.
      }
    })
    const output: string[] = []
    for (const stream of [shell.stdout, shell.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => output.push(chunk))
    // What a process in the background inherits stays open.
    await once(shell, code.includes('&\n') ? 'exit' : 'close')
    return output.join('')
  }
  return { folder, ports, here, run, issuer }
}

/** Until something listens: the guide's reader sees the prompt later than a program does. */
async function untilListening(port: number | undefined): Promise<void> {
  await expect
    .poll(
      () =>
        new Promise((resolve) => {
          const socket = connect(port as number, '127.0.0.1')
          socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
          socket.once('connect', () => socket.destroy())
        }),
      { timeout: 20_000 },
    )
    .toBe(true)
}

it('the quick start works as it is written', async () => {
  const { folder, ports, here, run, issuer } = await startWorld()
  for (const { file, code } of [...blocksOf(guide, 'js'), ...blocksOf(guide, 'nginx')])
    writeFileSync(join(folder, file as string), here(code))
  const [install, start, tls, tryIt, withToken, metrics, doctor] = blocksOf(guide, 'sh').map(({ code }) => code) as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]

  // Installed already: each is a package that the tests use.
  for (const name of install.trim().split(' ').slice(2))
    expect(read(`node_modules/${name}/package.json`)).toMatch(`"name": "${name}"`)

  await run(start)
  await Promise.all(['4601', '4602', '9601', '9602'].map((port) => untilListening(ports[port])))

  await run(tls.replace(/^sudo .*\n/gm, ''))
  expect(tls.match(/^sudo nginx .*$/gm)).toEqual(['sudo nginx -t', 'sudo nginx -s reload'])
  await runNginx(`include ${folder}/millrace.conf;`)

  const [define, ...steps] = tryIt.trim().split('\n')
  const shown: string[] = []
  for (const step of steps) shown.push(await run(`${define}\n${step}`))
  expect(shown.slice(0, 2)).toEqual(['', ''])
  expect(shown[2]).toMatch('{"id":"notes"}')
  expect(shown[3]).toMatch(/^event: stream_end$/m)
  expect(shown[4]).toMatch(/"id":"notes"[\s\S]*Millrace/)
  expect(shown[5]).toMatch('"code":"session_not_found"')
  expect(shown[6]).toMatch('"code":"unauthenticated"')

  expect(await run(withToken)).toMatch('"models"')
  expect(await run(withToken, { TOKEN: await issuer.sign('another-application') })).toMatch('"code":"token_rejected"')

  const series = await run(metrics)
  for (const name of ['millrace_connections', 'millrace_runs_total', 'millrace_first_token_seconds']) expect(series).toMatch(name)

  const report = await run(doctor)
  expect(report).toMatch(/behind nginx\)[\s\S]*HTTP\/2 is offered[\s\S]*\nNo problems\./)

  // The checklist.
  const ask = (path: string) =>
    run(`curl --silent --output /dev/null --write-out '%{http_code}' --cacert cert.pem https://app.example.com${path}`)
  expect([await ask('/api/models'), await ask('/metrics')]).toEqual(['401', '404'])
  expect(
    await run(`curl --silent --output /dev/null --write-out '%{http_code} %{redirect_url}' http://localhost:${ports['80']}/x`),
  ).toBe('301 https://localhost/x')
}, 120_000)

it('has the same commands and files in both languages, and the nginx.conf of deploy/', () => {
  const chinese = read('docs/guides/internet.zh-CN.md')
  const withoutComments = (code: string) => code.replace(/^\s*\/\/.*\n/gm, '')
  for (const language of ['sh', 'js', 'nginx', 'ts']) {
    const [own, other] = [guide, chinese].map((page) => blocksOf(page, language).map(({ code }) => withoutComments(code)))
    expect(own).toEqual(other)
  }
  const [shown] = blocksOf(guide, 'nginx')
  const named = shown?.code.replace('127.0.0.1:4601', 'millrace-1:4600').replace('127.0.0.1:4602', 'millrace-2:4600')
  expect(read('deploy/nginx.conf').replace(/^#.*\n/, '')).toBe(named)
})
