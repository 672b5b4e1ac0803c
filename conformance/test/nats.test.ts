import { cpSync, rmSync } from 'node:fs'
import { limits } from '@millrace/protocol'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { createMillrace } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { faultsConformance } from '../src/engine/faults.ts'
import { nodesConformance } from '../src/engine/nodes.ts'
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

nodesConformance({
  name: 'nats',
  async makeNodes() {
    const server = await startNats()
    onTestFinished(() => server.close())
    // Hundreds that want one place at once take their time.
    return [natsEngine({ url: server.url }), natsEngine({ url: server.url })]
  },
})

faultsConformance({ name: 'nats', start: startNats, make })

it('the nats engine takes the largest files that models may give, one after another and side by side', async () => {
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

describe('nats engine, as it is named', () => {
  it.each([
    ['a user and a password', ['--user', 'me', '--pass', 'p@ss'], 'me:p%40ss@'],
    ['a token', ['--auth', 's3cret/'], 's3cret%2F@'],
  ])('is let in with %s, by whichever of its servers answers', async (_name, args, who) => {
    const server = await startNats({ args })
    onTestFinished(() => server.close())
    const away = await findPort()
    const engine = await open(() => make({ url: `${server.url.replace('//', `//${who}`)},nats://127.0.0.1:${away}` }))
    expect((await engine.append('log', numbered(1, 1))).position.offset).toBe(1)
    const stranger = await open(() => natsEngine({ url: server.url, timeoutMs: 300 }))
    expect(await rejectionOf(stranger.inspect('log'))).toBe('engine_failed')
  })

  it('refuses at once what is no URL', () => {
    expect(() => natsEngine({ url: 'nats://127.0.0.1:port' })).toThrow(TypeError)
  })

  // What happened: two nodes began at once, one made the stream, and what the other asked of it ended nats-server 2.9.10.
  it('asks nothing of a stream that is still being made', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    await using box = await startMiddlebox(server.url)
    let infos = 0
    let early = 0
    box.answer((said) => {
      if (infos <= 2 && said.includes('MSG.GET')) early += 1
      return undefined
    })
    // As the server says it of one that it has only begun to make.
    const unmade = (_: string, time: string) => `"created":"${'0001-01-01T00:00:00.'.padEnd(time.length, '0')}Z"`
    box.change((said) => {
      if (said.includes('"created":')) infos += 1
      return infos <= 2 ? said.replace(/"created":"([^"]*)Z"/, unmade) : said
    })
    const engine = await open(() => make({ url: box.url.replace('http', 'nats') }))
    expect((await engine.append('log', numbered(1, 1))).position.offset).toBe(1)
    expect(early).toBe(0)
    expect(infos).toBeGreaterThan(2)
  })

  // What happened: a connection that was cut at that moment left its subscription behind, once for each log and time.
  it('listens once to a log that is watched, also where it was cut off as it began to', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    await using box = await startMiddlebox(server.url)
    let said = ''
    let isCut = false
    box.answer((piece) => {
      said += piece
      if (isCut || !piece.includes('SUB millrace.bell.')) return undefined
      isCut = true
      said = ''
      return '-ERR cut'
    })
    const engine = await open(() => make({ url: box.url.replace('http', 'nats') }))
    const writer = await open(() => make(server))
    await engine.append('log', numbered(1, 1))
    const rung = Promise.withResolvers<void>()
    const asked = () => [...said.matchAll(/SUB millrace\.bell\.\S+/g)].length
    engine.watch('log', () => asked() > 0 && rung.resolve())
    await expect.poll(asked, { timeout: 10_000 }).toBeGreaterThan(0)
    await writer.append('log', numbered(2, 2))
    await rung.promise
    expect(asked()).toBe(1)
  })

  // What happened: one that had just begun to lead a cluster took a batch again that it had not come to yet, up to five times.
  it('takes a batch that is stored twice for one, wherever the second one stands', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    const [writer, reader] = [await open(() => make(server)), await open(() => make(server))]
    const nc = await connect({ servers: server.url })
    onTestFinished(() => nc.close())
    const manager = await jetstreamManager(nc)
    const again = async (seq: number) => {
      const message = await manager.streams.getMessage('millrace', { seq })
      if (message !== null) await nc.request(message.subject, message.data)
    }
    const { position } = await writer.append('log', numbered(1, 1))
    const watched = Promise.withResolvers<void>()
    expect(numbers(await readAll(reader, 'log'))).toEqual([1])
    await writer.append('log', numbered(2, 2))
    await again(1)
    reader.watch('log', watched.resolve)
    await watched.promise
    expect(numbers(await readAll(reader, 'log'))).toEqual([1, 2])
    await again(2)
    await again(2)
    await writer.append('log', numbered(3, 3))
    for (const engine of [reader, writer, await open(() => make(server))]) {
      expect(numbers(await readAll(engine, 'log'))).toEqual([1, 2, 3])
      expect((await engine.inspect('log'))?.head).toEqual({ epoch: position.epoch, offset: 3 })
    }
  })

  describe('refuses a log as damaged in which something is that no engine has written', () => {
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

    it.each(['["no batch', 'null', '7', '{}', '"abc"', '[1]', '["id","after","epoch",4,1,0,0,[5]]'])('%s', async (text) => {
      const { engine, start } = await openWith(text)
      expect(await rejectionOf(engine.read('log', start))).toBe('log_damaged')
      expect(numbers(await readAll(engine, 'other'))).toEqual([1])
      expect(await engine.delete('log')).toBe(true)
      expect((await engine.append('log', numbered(1, 1))).position.offset).toBe(1)
    })

    it('and leaves nothing of it that looks whole where deleting it is cut off', async () => {
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
      // All that the other one has, with what is no batch among the first.
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

  // What happened: one that had just begun to lead a cluster stored two batches behind the same one, and some read the first.
  it('goes on behind the second of two that are stored behind one, for all of its readers', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    const [writer, reader] = [await open(() => make(server)), await open(() => make(server))]
    await writer.append('log', numbered(1, 1))
    expect(numbers(await readAll(reader, 'log'))).toEqual([1])
    const nc = await connect({ servers: server.url })
    onTestFinished(() => nc.close())
    const { subject = '', data } = (await (await jetstreamManager(nc)).streams.getMessage('millrace', { seq: 1 })) ?? {}
    const [id, , epoch, , time] = JSON.parse(Buffer.from(data ?? []).toString()) as [string, string, string, number, number]
    const store = (own: string, n: number) =>
      nc.request(subject, JSON.stringify([own, id, epoch, 2, time, 0, 0, [['message', { n }]]]))
    await store('first', 9)
    await store('second', 2)
    await writer.append('log', numbered(3, 3))
    const fresh = await open(() => make(server))
    expect(numbers(await readAll(fresh, 'log'))).toEqual([1, 2, 3])
    expect((await fresh.inspect('log'))?.head).toEqual({ epoch, offset: 3 })
    // It may have given the first to somebody, and tells everybody.
    expect(numbers(await readAll(reader, 'log'))).toEqual([1, 2, 3])
    expect((await reader.inspect('log'))?.head.epoch).not.toBe(epoch)
    for (const engine of [writer, fresh]) expect(numbers(await readAll(engine, 'log'))).toEqual([1, 2, 3])
  })

  it('knows its own batch when its server has forgotten that it took it', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    // As where a retry comes after the two minutes of JetStream.
    const nc = await connect({ servers: server.url })
    const manager = await jetstreamManager(nc)
    const config = { name: 'millrace', subjects: ['millrace.log.*'], allow_rollup_hdrs: true, duplicate_window: 100 * 1e6 }
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

/** A server that has what it once had, and nothing else. */
async function putBack(server: NatsServer, backup: string): Promise<void> {
  await server.kill()
  rmSync(server.folder, { recursive: true })
  cpSync(backup, server.folder, { recursive: true })
  await server.restart()
}

describe('nats engine, whose server comes back with less', () => {
  /** Acknowledges 150 events, and has 75 of them when it is back: a power loss does that. */
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

  it('refuses the old positions, also when the log has grown past them again, and rings for who waits', async () => {
    const { server, engine, position, backup } = await lose()
    const told = Promise.withResolvers<void>()
    const read = async () => {
      if ((await rejectionOf(engine.read('log', position))).startsWith('position_')) told.resolve()
    }
    engine.watch('log', () => void read())
    cpSync(backup, server.folder, { recursive: true })
    await server.restart()
    await told.promise
    const { position: grown } = await engine.append('log', numbered(76, 160))
    expect(grown.offset).toBe(160)
    expect(grown.epoch).not.toBe(position.epoch)
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
    expect(await rejectionOf(engine.append('log', numbered(1, 1), { epoch: position.epoch }))).toBe('position_foreign')
    const { events } = await engine.read('log', { ...grown, offset: 0 })
    expect(events.map(({ offset }) => offset)).toEqual(Array.from({ length: 160 }, (_, index) => index + 1))
  })

  // What happened: a log that was not there for a moment was forgotten, and what came back of it was believed.
  it('refuses them also when it has nothing at first', async () => {
    const { server, engine, position, backup } = await lose()
    await server.restart()
    expect(await rejectionOf(engine.read('log', position))).toBe('session_not_found')
    await putBack(server, backup)
    const other = await open(() => make(server))
    expect((await other.append('log', numbered(76, 160))).position).toEqual({ ...position, offset: 160 })
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
  })

  // What happened: that the beginning of a log was lost was taken for retention.
  it('refuses them also when what it has is only what came later', async () => {
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
    await putBack(server, backup)
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
  })

  it.each([1, 2])('refuses them also when another node has written on before it could look, %i times', async (times) => {
    const { server, engine, position, backup } = await lose()
    cpSync(backup, server.folder, { recursive: true })
    await server.restart()
    const other = await open(() => make(server))
    for (let time = 0; time < times; time++) await other.append('log', numbered(76, 160))
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
    // As every reader begins.
    await other.inspect('log')
    expect(await rejectionOf(other.read('log', position))).toBe('position_foreign')
  })

  it('has no log where everything was lost, and takes another of its name', async () => {
    const { server, engine, position } = await lose()
    await server.restart()
    expect(await engine.inspect('log')).toBeUndefined()
    expect(await rejectionOf(engine.append('log', numbered(1, 1), { epoch: position.epoch }))).toBe('position_foreign')
    expect((await engine.append('log', numbered(1, 200))).position.epoch).not.toBe(position.epoch)
    expect(await rejectionOf(engine.read('log', position))).toBe('position_foreign')
  })
})
