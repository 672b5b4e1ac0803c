/** Attacks that make the server connect to its own machine or network. What they would reach counts the connections. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { ChatOpenAI } from '@langchain/openai'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createTokens } from '../src/access/tokens.ts'
import type { Delivery } from '../src/operations/webhooks/delivery.ts'
import { WebhookSender } from '../src/operations/webhooks/sender.ts'
import { resolveTargets } from '../src/operations/webhooks/target.ts'
import { createSendRequest, type Lookup, type OutgoingOptions } from '../src/outgoing/request.ts'
import { postJson, startServer } from './support/server.ts'
import { keySet, keys, sign } from './support/tokens.ts'

/** A service that only this machine should reach, on every address. */
async function openCanary() {
  const state = { hits: 0, port: 0 }
  const server = createNetServer((socket) => {
    state.hits += 1
    socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret')
  })
  await new Promise<void>((resolve) => server.listen(0, '::', resolve))
  state.port = (server.address() as AddressInfo).port
  onTestFinished(() => void server.close())
  return state
}

/** A web server of the attacker, at an address that the configuration allows. */
async function openSite(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Resolves every name to these addresses, one set for each lookup; the last set repeats. */
function resolver(...sets: string[][]): { lookup: Lookup; count: () => number } {
  let calls = 0
  return {
    count: () => calls,
    lookup(_name, _options, callback) {
      const addresses = sets[Math.min(calls, sets.length - 1)] ?? []
      calls += 1
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
    },
  }
}

const get = (options: OutgoingOptions, url: string) =>
  createSendRequest(options)(new URL(url), { timeoutMs: 2000, bytesMax: 1000 })

const own = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
const lan = own.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'

/** Ways to write this machine in an address. */
const forms = [
  'http://127.0.0.1:PORT/',
  'http://127.0.0.1.:PORT/',
  'http://127.1:PORT/',
  'http://127.0.1:PORT/',
  'http://127.127.127.127:PORT/',
  'http://2130706433:PORT/',
  'http://0x7f000001:PORT/',
  'http://0x7f.0.0.1:PORT/',
  'http://0X7F.0X0.0X0.0X1:PORT/',
  'http://0177.0.0.1:PORT/',
  'http://017700000001:PORT/',
  'http://0177.0x0.1:PORT/',
  'http://0:PORT/',
  'http://0.0.0.0:PORT/',
  'http://%31%32%37.0.0.1:PORT/',
  'http://１２７.０.０.１:PORT/',
  'http://①②⑦.⓪.⓪.①:PORT/',
  'http://127。0。0。1:PORT/',
  'http://[::1]:PORT/',
  'http://[0:0:0:0:0:0:0:1]:PORT/',
  'http://[::]:PORT/',
  'http://[::ffff:127.0.0.1]:PORT/',
  'http://[::ffff:7f00:1]:PORT/',
  'http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/',
  'http://[::127.0.0.1]:PORT/',
  'http://[64:ff9b::127.0.0.1]:PORT/',
  'http://[2002:7f00:1::]:PORT/',
  'http://localhost:PORT/',
  'http://LocalHost.:PORT/',
  'http://a.localhost:PORT/',
  'http://good.example.com@127.0.0.1:PORT/',
  'http://127.0.0.1:PORT\\@good.example.com/',
  `http://${lan}:PORT/`,
  `http://${hostname()}:PORT/`,
]

describe('a request to an address that is not trusted', () => {
  it.each(forms)('does not reach this machine: %s', async (form) => {
    const canary = await openCanary()
    await expect(get({ allowsPrivateNames: false }, form.replace('PORT', String(canary.port)))).rejects.toThrow()
    expect(canary.hits).toBe(0)
  })

  it('would reach it without the guard, in most of these forms', async () => {
    const canary = await openCanary()
    const open = { allowsPrivateNames: true, privateHosts: [hostname()] }
    await Promise.allSettled(forms.map((form) => get(open, form.replace('PORT', String(canary.port)))))
    console.error(`SSRF: ${forms.length} forms of one address, 0 reach a guarded request's target, ${canary.hits} an open one's`)
    expect(canary.hits).toBeGreaterThan(25)
  })
})

describe('a public name', () => {
  const url = (port: number) => `http://hooks.example.com:${port}/`

  it.each([
    ['this machine', ['127.0.0.1']],
    ['this machine, in IPv6', ['::1']],
    ['this machine, as a mapped address', ['::ffff:127.0.0.1']],
    ['its network', ['10.0.0.1', '192.168.1.1', '172.16.0.1', '100.64.0.1', 'fd00::1', 'fe80::1']],
    ["its provider's metadata", ['169.254.169.254', 'fd00:ec2::254']],
  ])('that is pointed at %s is not connected to', async (_where, addresses) => {
    const canary = await openCanary()
    await expect(get({ lookup: resolver(addresses).lookup }, url(canary.port))).rejects.toThrow(/not on the public internet/)
    expect(canary.hits).toBe(0)
  })

  it('is looked up once for each request, so that a second answer is never used', async () => {
    const canary = await openCanary()
    const { lookup, count } = resolver(['127.0.0.1'], ['8.8.8.8'])
    await expect(get({ lookup }, url(canary.port))).rejects.toThrow()
    expect([count(), canary.hits]).toEqual([1, 0])
  })

  it('reaches a private address when it is one of privateHosts', async () => {
    const canary = await openCanary()
    const options = { lookup: resolver(['127.0.0.1']).lookup, privateHosts: ['Hooks.example.com'] }
    expect(await get(options, url(canary.port))).toMatchObject({ status: 200, text: 'secret' })
    expect(canary.hits).toBe(1)
  })

  it.each(['jwks', 'jwks.internal', 'keycloak.auth.svc.cluster.local', 'x.home.arpa'])(
    'is not what only a private network resolves: %s',
    async (name) => {
      const canary = await openCanary()
      await get({ lookup: resolver(['127.0.0.1']).lookup }, `http://${name}:${canary.port}/`)
      expect(canary.hits).toBe(1)
    },
  )
})

describe('a webhook', () => {
  const secret = `whsec_${Buffer.alloc(32).toString('base64')}`

  /** What becomes of one delivery to an address. */
  async function deliver(url: string, lookup?: Lookup): Promise<Delivery> {
    const [target] = resolveTargets([{ url, secret }], (host) => host === '127.0.0.1')
    if (target === undefined) throw new Error('There is no target')
    const attempted = Promise.withResolvers<void>()
    const send = createSendRequest(lookup && { lookup })
    const random = () => {
      attempted.resolve()
      return 0
    }
    const sender = new WebhookSender({ target, send, version: '1', random })
    const delivery: Delivery = { id: 'msg_a', target: 0, event: 'run.ended', createdAt: 0, status: 'waiting', attempts: 0 }
    sender.push(delivery, '{}')
    await attempted.promise
    await sender.close()
    return delivery
  }

  it.each([301, 302, 303, 307, 308])('is not sent where a redirect leads: %i', async (status) => {
    const canary = await openCanary()
    const site = await openSite((_request, response) => {
      response.writeHead(status, { location: `http://127.0.0.1:${canary.port}/` }).end()
    })
    expect(await deliver(site)).toMatchObject({ status: 'failed', lastStatus: status })
    expect(canary.hits).toBe(0)
  })

  it.each([['127.0.0.1'], ['::1'], ['::ffff:127.0.0.1'], [lan]])(
    'is not sent to %s, which its public name was pointed at',
    async (address) => {
      const canary = await openCanary()
      const delivery = await deliver(`https://hooks.example.com:${canary.port}/`, resolver([address]).lookup)
      expect(delivery.lastError).toMatch(/not on the public internet/)
      expect(canary.hits).toBe(0)
    },
  )
})

describe('a model', () => {
  it.each([301, 302, 307, 308])('gets no conversation where its base URL redirects to: %i', async (status) => {
    const canary = await openCanary()
    const site = await openSite((_request, response) => {
      response.writeHead(status, { location: `http://127.0.0.1:${canary.port}/v1/chat/completions` }).end()
    })
    const configuration = { baseURL: `${site}/v1` }
    const model = new ChatOpenAI({ model: 'fake', apiKey: 'sk-123', maxRetries: 0, configuration })
    const { millrace } = await startServer({ models: { fake: model }, model: 'fake' })
    const run = await millrace.ask({ query: 'a private question' })
    expect(await run.ended).toMatchObject({ status: 'failed' })
    expect(canary.hits).toBe(0)
  })

  it.each(['baseURL', 'base_url', 'baseUrl', 'configuration', 'endpoint', 'url'])(
    'has no base URL from a request: %s',
    async (field) => {
      const canary = await openCanary()
      const { url } = await startServer({ modelsByName: ['*'] })
      const address = `http://127.0.0.1:${canary.port}/v1`
      const value = field === 'configuration' ? { baseURL: address } : address
      for (const model of ['openai:gpt', `ollama:x?${field}=${address}`, `ollama:${address}`, `openai:gpt@${address}`])
        await (await postJson(`${url}/api/chat`, { query: 'x', model, [field]: value }, { accept: 'application/json' })).text()
      expect(canary.hits).toBe(0)
    },
  )
})

describe('the keys of tokens', () => {
  let token: string
  let set: string
  beforeAll(async () => {
    token = await sign({}, { key: keys.EdDSA.privateKey, header: { alg: 'EdDSA', kid: 'a' } })
    set = await keySet({ a: keys.EdDSA.publicKey })
  })

  it.each([301, 302, 303, 307, 308])('are not fetched where a redirect leads: %i', async (status) => {
    const canary = await openCanary()
    const site = await openSite((_request, response) => {
      response.writeHead(status, { location: `http://127.0.0.1:${canary.port}/` }).end()
    })
    await expect(createTokens([{ jwks: site }]).verify(token)).rejects.toMatchObject({ code: 'keys_unavailable' })
    expect(canary.hits).toBe(0)
  })

  it('are not fetched from a private address that their public name was pointed at', async () => {
    const canary = await openCanary()
    const { lookup, count } = resolver(['127.0.0.1'])
    const tokens = createTokens([{ jwks: `https://sso.example.com:${canary.port}/` }], { send: createSendRequest({ lookup }) })
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'keys_unavailable' })
    expect([count(), canary.hits]).toEqual([1, 0])
  })

  it('are not fetched because a token says so', async () => {
    const canary = await openCanary()
    const site = await openSite((_request, response) => void response.end(set))
    const tokens = createTokens([{ jwks: site }])
    const elsewhere = `http://127.0.0.1:${canary.port}/`
    const header = { alg: 'EdDSA', kid: elsewhere, jku: elsewhere, x5u: elsewhere }
    const forged = await sign({ iss: elsewhere }, { key: keys.EdDSA.privateKey, header })
    await expect(tokens.verify(forged)).rejects.toMatchObject({ code: 'token_rejected' })
    expect(canary.hits).toBe(0)
    expect(await tokens.verify(token)).toMatchObject({ id: 'ada' })
  })

  it.each([
    ['is larger than its bound', (response: ServerResponse) => void response.end('x'.repeat(300 * 1024))],
    ['never ends', (response: ServerResponse) => void response.writeHead(200).write('{')],
    [
      'ends early',
      (response: ServerResponse) => void response.writeHead(200, { 'content-length': 9 }).write('{', () => response.destroy()),
    ],
  ])(
    'are not available when the answer %s',
    async (_how, answer) => {
      const site = await openSite((_request, response) => answer(response))
      await expect(createTokens([{ jwks: site }]).verify(token)).rejects.toMatchObject({ code: 'keys_unavailable' })
    },
    10_000,
  )
})
