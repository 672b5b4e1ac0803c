/** What a network does to a reader: it still counts from 1 to N. */
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, quickTimings, readNumbers, startWorld, status } from './world.ts'

export function cutCases({ transport }: ClientSuite): void {
  const last = 12

  it('reads 1…N, each event once and in order', async () => {
    const { connect, counter } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    const run = session.run({ query: `${last}` })
    counter.letTo(last)
    expect(await readNumbers(session)).toEqual(oneTo(last))
    expect(await run).toMatchObject({ run: run.id, session: session.id })
    expect(client.connection.current).toMatchObject({ state: 'idle', transport })
  })

  it('reads 1…N though it is cut after every event', async () => {
    const { connect, counter, proxy } = await startWorld()
    const session = connect(transport).session()
    await session.run({ query: `${last}` })
    counter.letTo(1)
    const numbers = await readNumbers(session, (number) => {
      proxy.cut()
      counter.letTo(number + 1)
    })
    expect(numbers).toEqual(oneTo(last))
    expect(proxy.accepted).toBeGreaterThan(last)
  })

  it('reads 1…N though after every event one side of its connection says no more', async () => {
    const { connect, counter, proxy } = await startWorld()
    const session = connect(transport).session()
    await session.run({ query: `${last}` })
    counter.letTo(1)
    const numbers = await readNumbers(session, (number) => {
      proxy.halfClose(number % 2 === 0 ? 'client' : 'server')
      counter.letTo(number + 1)
    })
    expect(numbers).toEqual(oneTo(last))
  })

  it('reads 1…N though every connection is cut in the middle of its bytes', async () => {
    const { connect, counter, proxy } = await startWorld()
    const session = connect(transport).session()
    await session.run({ query: '100' })
    proxy.cut()
    counter.letTo(100)
    proxy.cutAfter(777, 8)
    expect(await readNumbers(session)).toEqual(oneTo(100))
  })

  it('reads each event once, after whichever byte of the answer it is cut', async () => {
    // No heartbeats, so that every answer has the same bytes.
    const { connect, millrace, proxy } = await startWorld({ heartbeatMs: 25_000 })
    const said = ['一', '二', '三']
    for (const data of said) await millrace.publish({ channel: 'c', data })
    const timings = { ...quickTimings('auto'), backoffFirstMs: 0, backoffLongestMs: 0 }
    // Within the first event or a little before it: of the others every byte is tried.
    const first = transport === 'ws' ? 300 : 240
    let bytes = first
    for (let cuts = -1; proxy.cuts > cuts; ) {
      cuts = proxy.cuts
      bytes += 1
      // Nothing is asked over a connection of the round before. The way up of hybrid is one more.
      proxy.cut()
      proxy.cutAfter(bytes, transport === 'hybrid' ? 2 : 1)
      const client = connect(transport, { timings })
      const seen: unknown[] = []
      for await (const { data } of client.channel('c', { from: 'start' }).events()) if (seen.push(data) === said.length) break
      client.close()
      expect(seen).toEqual(said)
    }
    // To the last one that was needed.
    expect(bytes).toBeGreaterThan(first + 100)
  })

  it('reads 1…N though the connection swallows everything without a word', async () => {
    const { connect, counter, proxy } = await startWorld()
    const session = connect(transport).session()
    await session.run({ query: `${last}` })
    counter.letTo(4)
    const numbers = await readNumbers(session, (number) => {
      if (number !== 4) return
      proxy.blackHole(true)
      proxy.blackHole(false)
      counter.letTo(last)
    })
    expect(numbers).toEqual(oneTo(last))
  })

  it('reads 1…N though the server cannot be reached for a while', async () => {
    const { connect, counter, proxy } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    await session.run({ query: `${last}` })
    counter.letTo(4)
    const back = status(client, ({ state, attempt }) => state === 'reconnecting' && attempt >= 3)
    const numbers = await readNumbers(session, async (number) => {
      if (number !== 4) return
      proxy.refuse(true)
      proxy.cut()
      counter.letTo(last)
      expect(await back).toMatchObject({ error: { code: 'unreachable', retryable: true } })
      proxy.refuse(false)
    })
    expect(numbers).toEqual(oneTo(last))
  })

  it('ends with the code when a restarted server knows neither the session nor its log', async () => {
    const { connect, counter, restart } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    await session.run({ query: `${last}` })
    counter.letTo(4)
    const reading = readNumbers(session, async (number) => {
      if (number === 4) await restart()
    })
    await expect(reading).rejects.toMatchObject({ code: 'session_not_found', retryable: false })
    expect(client.connection.current).toMatchObject({ state: 'closed', error: { code: 'session_not_found' } })
  })

  it('ends with the code, and says where to read on, when the log was re-created', async () => {
    const { connect, counter, proxy, restart } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    await session.run({ query: `${last}` })
    counter.letTo(4)
    const reading = readNumbers(session, async (number) => {
      if (number !== 4) return
      proxy.refuse(true)
      const next = await restart()
      await next.run({ session: session.id, source: ['another'] })
      proxy.refuse(false)
    })
    await expect(reading).rejects.toMatchObject({ code: 'position_foreign', docs: expect.stringContaining('#position_foreign') })
    const { position, runs } = await session.read()
    expect(runs).toHaveLength(1)
    const again = client.session(session.id, { from: position })
    const run = again.run({ query: '4' })
    expect(await readNumbers(again)).toEqual(oneTo(4))
    expect(await run).toMatchObject({ position })
  })
}
