import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { natsEngine } from 'millrace/nats'
import { describe, expect, it, onTestFinished } from 'vitest'
import { numbered, numbers, open, range, readAll, rejectionOf } from '../src/engine/support.ts'
import { startNats } from '../src/servers/nats.ts'

describe('nats engine, appends that wait for each other', () => {
  // What happened: the appends to one log took one round trip each, so a channel had the rate of its distance from NATS.
  it('go out in one message, and with a key in one message each', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    const engine = await open(() => natsEngine({ url: server.url }))
    await engine.append('log', numbered(1, 1))
    const nc = await connect({ servers: server.url })
    onTestFinished(() => nc.close())
    const { streams } = await jetstreamManager(nc)
    const messages = async () => (await streams.info('millrace')).state.messages
    const before = await messages()
    await Promise.all(range(2, 102).map((n) => engine.append('log', numbered(n, n))))
    expect((await messages()) - before).toBe(2)
    await Promise.all(range(103, 112).map((n) => engine.append('log', numbered(n, n), { key: `${n}` })))
    expect((await messages()) - before).toBe(12)
    expect(numbers(await readAll(engine, 'log'))).toEqual(range(1, 112))
  })

  it('are stored also where one cannot be encoded, and where they are too large together', async () => {
    const server = await startNats()
    onTestFinished(() => server.close())
    const engine = await open(() => natsEngine({ url: server.url }))
    const before = engine.append('log', numbered(1, 1))
    const bad = rejectionOf(engine.append('log', [{ type: 'message', data: 1n as never }]))
    const good = range(2, 4).map((n) => engine.append('log', numbered(n, n)))
    // Each of these characters takes six in JSON.
    const large = range(5, 7).map((n) => engine.append('log', [{ type: 'message', data: { n, text: '\u0001'.repeat(80_000) } }]))
    await Promise.all([before, ...good, ...large])
    expect(await bad).toMatch(/^not a MillraceError: TypeError/)
    expect(numbers(await readAll(engine, 'log'))).toEqual(range(1, 7))
  })
})
