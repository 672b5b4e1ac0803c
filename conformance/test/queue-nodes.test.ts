/** Questions that wait, over several servers of one engine: each is started once, also where all of them see the session come to rest. */
import { createMillrace, type Engine, type Millrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startShared } from './support/nodes.ts'

function openNode(engine: Engine): Millrace {
  const millrace = createMillrace({ engine, model: 'sim:count?n=2&tps=0', leaseMs: 1000, onError: () => {} })
  onTestFinished(() => millrace.close())
  return millrace
}

const runsOf = async (millrace: Millrace, session: string) =>
  (await millrace.readSession(session))?.runs.map(({ run, status }) => `${run} ${status}`)

describe.each(await startShared())('over $name', ({ make }) => {
  it('are added and removed on any server, and started once, also while all of them look', async () => {
    const [one, two] = [openNode(make()), openNode(make())]
    const first = await one.ask({ query: 'x', id: 'first', models: ['sim:hang'] })
    const { session } = first
    for (const id of ['a', 'b', 'c']) await (id === 'b' ? one : two).queue.add({ session, query: id, id })
    await one.queue.remove(session, 'b')
    await expect(two.queue.remove(session, 'b')).rejects.toMatchObject({ code: 'queue_entry_not_found' })
    await two.queue.change(session, 'a', { steer: true })
    const ended = ['first stopped', 'a completed', 'c completed']
    await expect
      .poll(() => Promise.all([one, two].map((node) => runsOf(node, session))), { timeout: 10_000 })
      .toEqual([ended, ended])
    expect((await two.readSession(session))?.queue).toEqual([])
  })

  it('are moved on any server, at once too, and every server has the same order', async () => {
    const [one, two] = [openNode(make()), openNode(make())]
    const { session } = await one.ask({ query: 'x', models: ['sim:hang'] })
    const ids = ['a', 'b', 'c', 'd'].map((name) => `${name}-${Date.now()}`)
    const [a, b, c, d] = ids as [string, string, string, string]
    for (const id of ids) await one.queue.add({ session, query: id, id })
    const queueOn = async (node: Millrace) => (await node.readSession(session))?.queue.map(({ entry }) => entry)
    await expect.poll(() => queueOn(two), { timeout: 10_000 }).toEqual(ids)
    await Promise.all([one.queue.move(session, { entry: d, before: a }), two.queue.move(session, { entry: b, before: null })])
    await expect
      .poll(() => Promise.all([one, two].map(queueOn)), { timeout: 10_000 })
      .toEqual([
        [d, a, c, b],
        [d, a, c, b],
      ])
  })

  it('go on with another server where that of the run closes', async () => {
    const [one, two] = [openNode(make()), openNode(make())]
    const { session } = await one.ask({ query: 'x', id: `first-${Date.now()}`, models: ['sim:hang'] })
    await one.queue.add({ session, query: 'next' })
    expect((await two.readSession(session))?.queue).toHaveLength(1)
    await one.close()
    await expect
      .poll(async () => (await runsOf(two, session))?.map((run) => run.split(' ')[1]), { timeout: 10_000 })
      .toEqual(['interrupted', 'completed'])
  })

  it('a lane is stopped over another server than that of the run', async () => {
    const [one, two] = [openNode(make()), openNode(make())]
    const { url } = await two.listen({ port: 0 })
    const run = await one.ask({ query: 'x', models: ['sim:hang', 'sim:count?n=100000&tps=50'] })
    const stop = (lane: string) =>
      fetch(`${url}/api/runs/${run.id}/stop`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ lane }),
      }).then((answer) => answer.json())
    expect(await stop('sim:hang')).toMatchObject({ status: 'stopped' })
    expect((await two.readSession(run.session))?.runs[0]).toMatchObject({
      status: 'streaming',
      lanes: [{ status: 'stopped' }, {}],
    })
    expect(await stop('sim:count?n=100000&tps=50')).toMatchObject({ status: 'stopped' })
    expect(await run.ended).toMatchObject({ status: 'stopped' })
  })
})
