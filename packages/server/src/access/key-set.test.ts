import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { exportJWK, type FlattenedJWSInput } from 'jose'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createKeySet } from './key-set.ts'

const { publicKey } = generateKeyPairSync('ed25519')
const jwk = await exportJWK(publicKey)
const setOf = (...kids: string[]) => JSON.stringify({ keys: kids.map((kid) => ({ ...jwk, kid })) })

/** A provider whose answer can be changed, and a clock. */
async function open() {
  const state = { body: setOf('a'), status: 200, requests: 0, now: 0 }
  const server: Server = createServer((_request, response) => {
    state.requests += 1
    response.writeHead(state.status).end(state.body)
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const getKey = createKeySet(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { now: () => state.now })
  return { state, find: async (kid: string) => getKey({ alg: 'EdDSA', kid }, {} as FlattenedJWSInput) }
}

describe('the keys of an issuer', () => {
  it('are fetched once for many requests', async () => {
    const { state, find } = await open()
    await Promise.all(Array.from({ length: 20 }, () => find('a')))
    expect(state.requests).toBe(1)
  })

  it('are fetched for a key that is not known, at most every 30 s', async () => {
    const { state, find } = await open()
    await find('a')
    state.body = setOf('a', 'b')
    state.now = 29_000
    for (const kid of ['b', 'c', 'd']) await expect(find(kid)).rejects.toThrow()
    expect(state.requests).toBe(1)
    state.now = 31_000
    await Promise.all(Array.from({ length: 20 }, () => find('b')))
    expect(state.requests).toBe(2)
  })

  it('are fetched again after ten minutes, so that a withdrawn one is no longer accepted', async () => {
    const { state, find } = await open()
    await find('a')
    state.body = setOf('b')
    state.now = 599_000
    await find('a')
    state.now = 601_000
    await expect(find('a')).rejects.toThrow()
    await find('b')
  })

  it('stay as they are while the provider is away', async () => {
    const { state, find } = await open()
    await find('a')
    state.status = 503
    state.now = 700_000
    await find('a')
    await find('a')
    expect(state.requests).toBe(2)
  })

  it('are not available before the first success, which is tried every second', async () => {
    const { state, find } = await open()
    state.status = 503
    for (let attempt = 0; attempt < 3; attempt++) await expect(find('a')).rejects.toMatchObject({ code: 'keys_unavailable' })
    expect(state.requests).toBe(1)
    state.status = 200
    state.now = 1001
    await find('a')
  })

  it('can be in a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-keys-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'jwks.json')
    writeFileSync(path, setOf('a'))
    for (const source of [path, pathToFileURL(path), pathToFileURL(path).href])
      await createKeySet(source)({ alg: 'EdDSA', kid: 'a' }, {} as FlattenedJWSInput)
  })
})
