/** A server that ends over logs which outlive it: what was said stays, the answer goes on, and it is read from 1 to N. */
import { connect } from '@millrace/client'
import { sqliteEngine } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../faults/folder.ts'
import { startMillrace } from '../faults/server-process.ts'
import { type ClientSuite, oneTo, quickTimings, readAnswer, startWorld } from './world.ts'

export function restartCases({ transport }: ClientSuite): void {
  it('reads 1…N though the server is restarted after every event', async () => {
    const folder = makeFolder()
    const { connect, counter, restart } = await startWorld({ openEngine: () => sqliteEngine({ folder }) })
    const session = connect(transport).session()
    const { run } = await session.run({ query: '4' })
    counter.letTo(1)
    let restarts = 0
    const numbers = await readAnswer(session, run, async (number) => {
      restarts += 1
      const server = await restart()
      // As many runs as there were servers: each goes on with the one before it.
      expect((await server.readSession(session.id))?.runs).toHaveLength(restarts)
      counter.letTo(number + 1)
    })
    expect(numbers).toEqual(oneTo(4))
  })

  it('reads 1…N though the server is killed in mid-answer, again and again', async () => {
    const server = await startMillrace(['--data', makeFolder()])
    // Its heartbeats are those of everybody.
    const client = connect(server.url, { transport, timings: { ...quickTimings(transport), silenceMs: 28_000 } })
    onTestFinished(() => client.close())
    const session = client.session()
    const { run } = await session.run({ query: 'count', models: ['sim:count?n=150&tps=200'] })
    const kills = [20, 40]
    const numbers = await readAnswer(session, run, async (number) => {
      if (number < (kills[0] ?? Number.POSITIVE_INFINITY)) return
      kills.shift()
      await server.restart()
    })
    expect(numbers).toEqual(oneTo(150))
    const { runs } = await session.read()
    expect(runs.map(({ status }) => status)).toEqual(['interrupted', 'interrupted', 'completed'])
  })
}
