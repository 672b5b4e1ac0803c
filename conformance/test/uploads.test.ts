/** Files of sessions over every engine: uploads over several servers, packing, retention and deletion. */
import { randomBytes } from 'node:crypto'
import { createMillrace, type Engine, memoryEngine, sqliteEngine } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { startNats } from '../src/servers/nats.ts'
import { startRedis } from '../src/servers/redis.ts'

const redis = await startRedis()
const nats = await startNats()
afterAll(() => Promise.all([redis.close(), nats.close()]))

const piece = 256 * 1024
const mediaType = 'application/pdf'

type Options = { readonly bytesMax?: number }
const engines: { name: string; make: (options?: Options) => Engine }[] = [
  { name: 'memory', make: (options) => memoryEngine(options) },
  { name: 'sqlite', make: (options) => sqliteEngine({ folder: makeFolder(), ...options }) },
  { name: 'redis', make: (options) => redisEngine({ url: redis.url, prefix: randomBytes(6).toString('hex'), ...options }) },
  { name: 'nats', make: (options) => natsEngine({ url: nats.url, stream: randomBytes(6).toString('hex'), ...options }) },
]

async function openNode(engine: Engine) {
  const millrace = createMillrace({ engine, model: 'sim:count?n=200&tps=0', onError: () => {} })
  onTestFinished(() => millrace.close())
  return { millrace, url: (await millrace.listen({ port: 0 })).url }
}

/** Both servers close the engine that they share in one process. */
const shared = (engine: Engine): Engine => {
  let open = 2
  return { ...engine, close: async () => void (--open === 0 && (await engine.close())) }
}

describe.each(engines)('$name', ({ make }) => {
  it('keeps a file that several servers received in parts, as it was, until its session is deleted', async () => {
    const engine = shared(make())
    const nodes = [await openNode(engine), await openNode(engine)] as const
    const [one, other] = nodes
    const bytes = Buffer.concat([Buffer.from('%PDF-'), randomBytes(20 * 1024 * 1024 - 5)])
    const headers = { 'content-type': mediaType, 'upload-complete': '?0', 'upload-length': String(bytes.length) }
    const begun = await fetch(`${one.url}/api/files`, { method: 'POST', headers })
    const { session } = (await begun.json()) as { session: string }
    const path = begun.headers.get('location') as string
    let position: string | undefined
    for (let offset = 0, turn = 0; position === undefined; turn++) {
      const body = bytes.subarray(offset, offset + 16 * piece + 99)
      const sent = { method: 'PATCH', headers: { 'upload-offset': String(offset) }, body }
      const kept = (await (await fetch((nodes[turn % 2] as typeof one).url + path, sent)).json()) as {
        offset: number
        position?: string
      }
      ;({ offset, position } = kept)
    }
    const { millrace } = one
    const run = await millrace.ask({ query: 'x', session })
    await run.ended
    for (const log of [session, ...(await engine.list('file/'))]) await engine.compact?.(log)
    for (const { url } of nodes) {
      const got = Buffer.from(await (await fetch(`${url}/api/files/${session}/${position}`)).arrayBuffer())
      expect(got.equals(bytes)).toBe(true)
    }
    expect((await fetch(`${other.url}/api/sessions/${session}`, { method: 'DELETE' })).status).toBe(200)
    expect([await engine.list('file/'), await engine.list('unfinished/')]).toEqual([[], []])
    expect((await fetch(`${one.url}/api/files/${session}/${position}`)).status).toBe(404)
  }, 60_000)

  it('rejects a file that it has no room for, and reports one that retention has removed', async () => {
    const engine = make({ bytesMax: 4 * piece })
    const { url } = await openNode(engine)
    const bytes = Buffer.concat([Buffer.from('%PDF-'), randomBytes(8 * piece)])
    const upload = (body: Uint8Array<ArrayBuffer>) =>
      fetch(`${url}/api/files`, { method: 'POST', headers: { 'content-type': mediaType }, body })
    const rejected = await upload(bytes)
    expect([rejected.status, ((await rejected.json()) as { error: { code: string } }).error.code]).toEqual([
      413,
      'file_too_large',
    ])
    expect(await engine.list('file/')).toEqual([])
    const { session, position } = (await (await upload(bytes.subarray(0, 9))).json()) as { session: string; position: string }
    await engine.append(session, [{ type: 'x', data: 'x'.repeat(500_000) }])
    for (let n = 0; n < 9; n++) await engine.append(session, [{ type: 'x', data: randomBytes(250_000).toString('hex') }])
    const gone = await fetch(`${url}/api/files/${session}/${position}`)
    expect([gone.status, ((await gone.json()) as { error: { code: string } }).error.code]).toEqual([410, 'position_expired'])
  }, 60_000)
})
