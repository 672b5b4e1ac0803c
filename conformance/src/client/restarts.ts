/** A server that stops and starts again with the same logs: the text is kept, the answer goes on, and it is read from 1 to N. */
import { connect } from '@millrace/client'
import { sqliteEngine } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../faults/folder.ts'
import { startMillrace } from '../faults/server-process.ts'
import { type ClientSuite, oneTo, patientTimings, readAnswer, startWorld } from './world.ts'

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
    // It is another process, and on a busy machine not as quick as this one. That it was killed is noticed at once.
    const client = connect(server.url, { transport, timings: patientTimings })
    onTestFinished(() => client.close())
    const session = client.session()
    const last = 480
    const { run } = await session.run({ query: 'count', models: [`sim:count?n=${last}&tps=200`] })
    const killed = new Set<string>()
    const numbers = await readAnswer(session, run, async (_number, current) => {
      if (killed.size === 2 || killed.has(current)) return
      killed.add(current)
      await server.restart()
    })
    expect(numbers).toEqual(oneTo(last))
    const statuses = (await session.read()).runs.map(({ status }) => status)
    // On a machine that does much else the second may have come to its end before it could be killed.
    expect(statuses.slice(0, -1)).toContain('interrupted')
    expect(statuses.at(-1)).toBe('completed')
  })
}
