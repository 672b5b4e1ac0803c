import { cpSync, rmSync } from 'node:fs'
import { limits } from '@millrace/protocol'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { createMillrace, type Engine } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { ephemeralConformance } from '../src/engine/ephemeral.ts'
import { faultsConformance } from '../src/engine/faults.ts'
import { type NodesSuite, nodesConformance } from '../src/engine/nodes.ts'
import { numbered, numbers, open, range, readAll, rejectionOf } from '../src/engine/support.ts'
import { startFaultProxy } from '../src/fault-proxy.ts'
import { engineConformance } from '../src/index.ts'
import { type NatsServer, startNats } from '../src/servers/nats.ts'
import { findPort } from '../src/servers/port.ts'
import { startMiddlebox } from './support/middlebox.ts'

const nats = await startNats()
afterAll(() => nats.close())
let engines = 0

engineConformance({
  name: 'nats',
  make(limits) {
    engines += 1
    return natsEngine({ url: nats.url, stream: `test-${engines}`, ...limits })
  },
})

const make = ({ url }: { url: string }) => natsEngine({ url, timeoutMs: 3000 })

const nodes: NodesSuite = {
  name: 'nats',
  async makeNodes() {
    const server = await startNats()
    onTestFinished(() => server.close())
    // The default timeout: hundreds of appends compete for one offset.
    return [natsEngine({ url: server.url }), natsEngine({ url: server.url })]
  },
}

nodesConformance(nodes)
ephemeralConformance(nodes)

faultsConformance({ name: 'nats', start: startNats, make })

it('the nats engine stores the largest files that models may emit, in sequence and in parallel', async () => {
  const engine = natsEngine({ url: nats.url, stream: 'files' })
  const file = { mediaType: 'text/plain', name: '\u{1f600}'.repeat(127), bytes: new Uint8Array(limits.fileBytesMax).fill(255) }
  const names = ['a', 'b'].map((name) => name.repeat(100))
  const models = names.map((name) => ({
    name,
    stream: async function* () {
      yield* ['1 ', { file }, '2 ', { file }, '3 ']
    },
  }))
  const millrace = createMillrace({ engine, models })
  onTestFinished(() => millrace.close())
  const { session, ended } = await millrace.ask({ query: 'x', models: names })
  expect(await ended).toMatchObject({ status: 'completed' })
  const { lanes = [] } = (await millrace.readSession(session))?.runs[0] ?? {}
  expect(lanes.map(({ text, files }) => [text, files.length])).toEqual(names.map(() => ['1 2 3 ', 2]))
})

describe('nats engine, its options', () => {
  it.each([
    ['a user and a password', ['--user', 'me', '--pass', 'p@ss'], 'me:p%40ss@'],
    ['a token', ['--auth', 's3cret/'], 's3cret%2F@'],
  ])('connects with %s to the server of its list that responds', async (_name, args, who) => {
    const server = await startNats({ args })
    onTestFinished(() => server.close())
    const away = await findPort()
    const engine = await open(() => make({ url: `${server.url.replace('//', `//${who}`)},nats://127.0.0.1:${away}` }))
    expect((await engine.append('log', numbered(1, 1))).position.offset).toBe(1)
    const stranger = await open(() => natsEngine({ url: server.url, timeoutMs: 300 }))
    expect(await rejectionOf(stranger.inspect('log'))).toBe('engine_failed')
  })

  it('rejects an invalid URL at once', () => {
    expect(() => natsEngine({ url: 'nats://127.0.0.1:port' })).toThrow(TypeError)
  })

  it.each(['2.9.10', '2.11.9'])('rejects nats-server %s with the version it needs', async (version) => {
    await using box = await startMiddlebox(nats.url)
    box.change((said) => said.replace(/"version":"[^"]*"/, `"version":"${version}"`))
    const engine = await open(() => make({ url: box.url.replace('http', 'nats') }))
    const place = new URL(box.url).host
    const message = `nats-server ${version} at ${place} is too old; Millrace needs nats-server 2.12 or later.`
    await expect(engine.inspect('log')).rejects.toMatchObject({ code: 'engine_failed', message })
    await expect(engine.append('log', numbered(1, 1))).rejects.toMatchObject({ code: 'engine_failed', message })
  })

  it('accepts a nats-server that was too old when it comes back with a newer version', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    await using box = await startMiddlebox(server.url)
    let version = '2.9.10'
    box.change((said) => said.replace(/"version":"[^"]*"/, `"version":"${version}"`))
    const engine = await open(() => make({ url: box.url.replace('http', 'nats') }))
    await expect(engine.inspect('log')).rejects.toThrow('2.12')
    version = '2.12.0'
    await server.restart()
    await expect.poll(() => rejectionOf(engine.inspect('log')), { timeout: 10_000 }).toBe('resolved')
  })

  it('rejects a stream without direct reads until its operator allows them', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    const nc = await connect({ servers: server.url })
    onTestFinished(() => nc.close())
    const { streams } = await jetstreamManager(nc)
    const config = { name: 'millrace', subjects: ['millrace.log.*'] }
    await streams.add(config)
    const engine = await open(() => make(server))
    await expect(engine.inspect('log')).rejects.toThrow('nats stream edit millrace --allow-direct')
    await streams.update('millrace', { ...config, allow_direct: true })
    await expect.poll(() => rejectionOf(engine.inspect('log')), { timeout: 10_000 }).toBe('resolved')
  })

  // A connection that failed at that moment used to leave its subscription behind, one for each log and disconnect.
  it('subscribes once to a watched log, also where the connection fails during that', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    await using box = await startMiddlebox(server.url)
    let said = ''
    let isCut = false
    box.answer((piece) => {
      said += piece
      if (isCut || !piece.includes('SUB millrace.notify.')) return undefined
      isCut = true
      said = ''
      return '-ERR cut'
    })
    const engine = await open(() => make({ url: box.url.replace('http', 'nats') }))
    const writer = await open(() => make(server))
    await engine.append('log', numbered(1, 1))
    const notified = Promise.withResolvers<void>()
    const asked = () => [...said.matchAll(/SUB millrace\.notify\.\S+/g)].length
    engine.watch('log', () => asked() > 0 && notified.resolve())
    await expect.poll(asked, { timeout: 10_000 }).toBeGreaterThan(0)
    await writer.append('log', numbered(2, 2))
    await notified.promise
    expect(asked()).toBe(1)
  })

  describe('opens a log', () => {
    const keyed = (engine: Engine, key: string) => engine.append('log', numbered(1, 1), { key })

    /** A log with two keys among many batches, and the requests that another engine makes for it. */
    async function openLog(batches: number, keys = 2) {
      const server = await startNats()
      onTestFinished(() => server.close())
      const writer = await open(() => make(server))
      for (const n of range(1, keys)) await keyed(writer, `k${n}`)
      for (const n of range(1, batches)) await writer.append('log', numbered(n, n))
      const box = await startMiddlebox(server.url)
      onTestFinished(() => box[Symbol.asyncDispose]())
      const requests: string[] = []
      box.answer((said) => {
        for (const [, name = ''] of said.matchAll(/^PUB \$JS\.API\.(\S+)\.millrace /gm)) requests.push(name)
        return undefined
      })
      const engine = await open(() => make({ url: box.url.replace('http', 'nats') }))
      await engine.inspect('other')
      requests.length = 0
      return { writer, engine, requests }
    }

    it('with one request, however many batches it has', async () => {
      const { engine, requests } = await openLog(300)
      expect((await engine.inspect('log'))?.head.offset).toBe(302)
      expect(requests).toEqual(['STREAM.MSG.GET'])
      await engine.append('log', numbered(303, 303))
      expect(requests).toEqual(['STREAM.MSG.GET'])
      expect((await readAll(engine, 'log')).map(({ offset }) => offset)).toEqual(range(1, 303))
    })

    it('with one request more to find a key, wherever that is in the log', async () => {
      const { writer, engine, requests } = await openLog(300)
      expect(await keyed(engine, 'k1')).toMatchObject({ duplicate: true, position: { offset: 1 } })
      // The index of an earlier state gives no result: the last batch is read twice.
      expect(requests.filter((name) => name !== 'STREAM.MSG.GET')).toEqual([])
      expect(requests.length).toBeLessThanOrEqual(3)
      expect(await keyed(engine, 'k3')).toMatchObject({ duplicate: false, position: { offset: 303 } })
      expect(await keyed(writer, 'k3')).toMatchObject({ duplicate: true, position: { offset: 303 } })
    })

    it('and finds every key where there are too many to list', async () => {
      const { engine } = await openLog(10, 300)
      for (const n of [1, 150, 300])
        expect(await keyed(engine, `k${n}`)).toMatchObject({ duplicate: true, position: { offset: n } })
    })

    it('and trims it as the engine that wrote it does', async () => {
      const { writer, engine } = await openLog(20)
      await engine.append('log', numbered(23, 23), { keep: 5 })
      const state = await engine.inspect('log')
      expect(state?.start.offset).toBe(18)
      expect(await writer.inspect('log')).toEqual(state)
      expect(await keyed(engine, 'k1')).toMatchObject({ duplicate: false })
    })
  })

  describe('rejects a log as damaged that has a message no engine has written', () => {
    async function openWith(text: string) {
      const server = await startNats()
      onTestFinished(() => server.close())
      const engine = await open(() => make(server))
      const { position } = await engine.append('log', numbered(1, 3))
      await engine.append('other', numbered(1, 1))
      const nc = await connect({ servers: server.url })
      onTestFinished(() => nc.close())
      const { subject = '' } = (await (await jetstreamManager(nc)).streams.getMessage('millrace', { seq: 1 })) ?? {}
      await nc.request(subject, text)
      return { start: { ...position, offset: 0 }, engine: await open(() => make(server)) }
    }

    it.each(['["no batch', 'null', '7', '{}', '"abc"', '[1]', '["id","after","epoch",4,1,0,0,1,0,0,[5]]'])('%s', async (text) => {
      const { engine, start } = await openWith(text)
      expect(await rejectionOf(engine.read('log', start))).toBe('log_damaged')
      expect(numbers(await readAll(engine, 'other'))).toEqual([1])
      expect(await engine.delete('log')).toBe(true)
      expect((await engine.append('log', numbered(1, 1))).position.offset).toBe(1)
    })

    it('and leaves no part of it readable where deleting it is interrupted', async () => {
      const server = await startNats()
      onTestFinished(() => server.close())
      const engine = await open(() => make(server))
      for (const n of range(1, 600)) await engine.append('whole', numbered(n, n))
      const nc = await connect({ servers: server.url })
      onTestFinished(() => nc.close())
      const manager = await jetstreamManager(nc)
      const { position } = await engine.append('log', numbered(1, 1))
      const { subject = '' } = (await manager.streams.getMessage('millrace', { last_by_subj: 'millrace.log.*' })) ?? {}
      await engine.delete('log')
      // The messages of the other log, with one that is not a batch among the first.
      for (const seq of range(1, 600)) {
        await nc.request(subject, (await manager.streams.getMessage('millrace', { seq }))?.data)
        if (seq === 10) await nc.request(subject, '7')
      }
      const { epoch } = (await engine.inspect('whole'))?.head ?? position
      const erased = Promise.withResolvers<void>()
      nc.subscribe('$JS.API.STREAM.MSG.DELETE.millrace', { callback: () => erased.resolve() })
      await nc.flush()
      const cut = await open(() => make(server))
      const deleting = rejectionOf(cut.delete('log'))
      await erased.promise
      await cut.close()
      expect(await deleting).toBe('server_stopping')
      const fresh = await open(() => make(server))
      const reads = () => rejectionOf(fresh.read('log', { epoch, offset: 300 }))
      expect(await reads()).toMatch(/^(log_damaged|session_not_found)$/)
      await fresh.delete('log')
      expect(await reads()).toBe('session_not_found')
    })
  })

  it('recognizes its own batch when the server no longer recognizes the repeated message', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    // As if a retry came after the two minutes for which JetStream recognizes a repeated message.
    const nc = await connect({ servers: server.url })
    const manager = await jetstreamManager(nc)
    const config = { name: 'millrace', subjects: ['millrace.log.*'], allow_direct: true, duplicate_window: 100 * 1e6 }
    await manager.streams.add(config)
    await nc.close()
    const proxy = await startFaultProxy(server.port)
    onTestFinished(() => proxy[Symbol.asyncDispose]())
    const near = await open(() => make({ url: proxy.url.replace('http', 'nats') }))
    const far = await open(() => make(server))
    await near.append('log', numbered(1, 1))
    proxy.mute()
    const appending = near.append('log', numbered(2, 2))
    while ((await far.inspect('log'))?.head.offset !== 2) await new Promise(setImmediate)
    await new Promise((resolve) => setTimeout(resolve, 300))
    proxy.cut()
    expect(await appending).toMatchObject({ position: { offset: 2 }, duplicate: false })
    expect(numbers(await readAll(far, 'log'))).toEqual([1, 2])
  })
})

/** Replaces a server's storage with an earlier copy. */
async function restoreBackup(server: NatsServer, backup: string): Promise<void> {
  await server.kill()
  rmSync(server.folder, { recursive: true })
  cpSync(backup, server.folder, { recursive: true })
  await server.restart()
}

describe('nats engine, whose server has lost events', () => {
  /** A server that acknowledged 150 events, and a backup with 75 of them, as a power loss leaves it. */
  async function lose() {
    const server = await startNats()
    const backup = `${server.folder}-backup`
    onTestFinished(async () => {
      await server.close()
      rmSync(backup, { recursive: true, force: true })
    })
    const engine = await open(() => make(server))
    await engine.append('log', numbered(1, 75))
    await server.kill()
    cpSync(server.folder, backup, { recursive: true })
    await server.restart()
    const { position } = await engine.append('log', numbered(76, 150))
    await server.kill()
    rmSync(server.folder, { recursive: true })
    return { server, engine, position, backup }
  }

  it('rejects the old positions, also after the log has grown past them again, and notifies watchers', async () => {
    const { server, engine, position, backup } = await lose()
    const rejected = Promise.withResolvers<void>()
    const read = async () => {
      if ((await rejectionOf(engine.read('log', position))).startsWith('position_')) rejected.resolve()
    }
    engine.watch('log', () => void read())
    cpSync(backup, server.folder, { recursive: true })
    await server.restart()
    await rejected.promise
    const { position: grown } = await engine.append('log', numbered(76, 160))
    expect(grown.offset).toBe(160)
    expect(grown.epoch).not.toBe(position.epoch)
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
    expect(await rejectionOf(engine.append('log', numbered(1, 1), { epoch: position.epoch }))).toBe('position_foreign')
    const { events } = await engine.read('log', { ...grown, offset: 0 })
    expect(events.map(({ offset }) => offset)).toEqual(Array.from({ length: 160 }, (_, index) => index + 1))
  })

  // A log that was missing for a moment used to be forgotten, so that its restored part passed for the whole.
  it('rejects them also when the log is missing at first', async () => {
    const { server, engine, position, backup } = await lose()
    await server.restart()
    expect(await rejectionOf(engine.read('log', position))).toBe('session_not_found')
    await restoreBackup(server, backup)
    const other = await open(() => make(server))
    expect((await other.append('log', numbered(76, 160))).position).toEqual({ ...position, offset: 160 })
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
  })

  // A lost beginning of a log used to pass for retention.
  it('rejects them also when only later events are left', async () => {
    const server = await startNats()
    const backup = `${server.folder}-backup`
    onTestFinished(async () => {
      await server.close()
      rmSync(backup, { recursive: true, force: true })
    })
    const engine = await open(() => make(server))
    const { position } = await engine.append('log', numbered(1, 75))
    await (await open(() => make(server))).append('log', numbered(76, 150))
    const nc = await connect({ servers: server.url })
    await (await jetstreamManager(nc)).streams.deleteMessage('millrace', 1)
    await nc.close()
    await server.kill()
    cpSync(server.folder, backup, { recursive: true })
    rmSync(server.folder, { recursive: true })
    await server.restart()
    expect(await rejectionOf(engine.read('log', position))).toBe('session_not_found')
    await restoreBackup(server, backup)
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
  })

  it.each([1, 2])('rejects them also when another node has appended %i times before the first read', async (times) => {
    const { server, engine, position, backup } = await lose()
    cpSync(backup, server.folder, { recursive: true })
    await server.restart()
    const other = await open(() => make(server))
    for (let time = 0; time < times; time++) await other.append('log', numbered(76, 160))
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
    // Every reader begins with this call.
    await other.inspect('log')
    expect(await rejectionOf(other.read('log', position))).toBe('position_foreign')
  })

  it('has no log after losing everything, and accepts another one of the same name', async () => {
    const { server, engine, position } = await lose()
    await server.restart()
    expect(await engine.inspect('log')).toBeUndefined()
    expect(await rejectionOf(engine.append('log', numbered(1, 1), { epoch: position.epoch }))).toBe('position_foreign')
    expect((await engine.append('log', numbered(1, 200))).position.epoch).not.toBe(position.epoch)
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
  })
})
