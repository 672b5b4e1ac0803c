/** A run that waits is stopped on one server while another is sent the decision: one of the two counts, on every server. */
import { createMillrace, type Engine, memoryEngine, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { startShared } from './support/nodes.ts'

const model = 'sim:tool?tps=0&approve=1'
const rounds = 12

async function send(url: string, body: object) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as { status?: string; error?: { code: string } } }
}

const shared = await startShared()
const engines = [
  ...shared.map(({ name, make }) => ({ name, open: () => [make(), make()] as const })),
  { name: 'memory', open: () => [memoryEngine()] as const },
  { name: 'sqlite', open: () => [sqliteEngine({ folder: makeFolder() })] as const },
]

describe.each(engines)('over $name', ({ open }) => {
  it('a decision and a stop at the same moment: the run goes on and the stop says so, or it is stopped and nothing is executed', async () => {
    const nodes = open().map((engine) => createMillrace({ engine, model, leaseMs: 1000, onError: () => {} }))
    onTestFinished(() => Promise.all(nodes.map((node) => node.close())).then(() => {}))
    const [one, two] = [nodes[0], nodes.at(-1)] as [(typeof nodes)[0], (typeof nodes)[0]]
    const [here, there] = [(await one.listen({ port: 0 })).url, two === one ? '' : (await two.listen({ port: 0 })).url]
    const outcomes = new Set<string>()
    for (let round = 0; round < rounds; round++) {
      const run = await one.ask({ query: 'x' })
      await run.ended
      const { session, id } = run
      const [decided, stopped] = await Promise.all([
        send(`${there || here}/api/runs/${id}/decisions`, { session, decisions: [{ call: 'call_1', decision: 'approve' }] }),
        // From a little before to a little after, by what comes first on the wire.
        send(`${here}/api/runs/${id}/stop`, { session }),
      ])
      const isStopped = stopped.body.status === 'stopped'
      outcomes.add(isStopped ? 'stopped' : 'decided')
      if (isStopped) expect(decided).toMatchObject({ status: 409, body: { error: { code: 'run_not_waiting' } } })
      else {
        expect([decided.status, stopped.body.status]).toEqual([200, 'waiting'])
        await expect.poll(async () => (await two.readSession(session))?.runs[1]?.status).toBe('completed')
      }
      const late = await send(`${there || here}/api/runs/${id}/decisions`, {
        session,
        decisions: [{ call: 'call_1', decision: 'reject' }],
      })
      expect(late).toMatchObject({ status: 409, body: { error: { code: isStopped ? 'run_not_waiting' : 'call_decided' } } })
      for (const node of [one, two]) {
        const runs = (await node.readSession(session))?.runs ?? []
        expect(runs.map(({ status }) => status)).toEqual(isStopped ? ['stopped'] : ['waiting', 'completed'])
      }
    }
    expect(outcomes.size).toBeGreaterThan(0)
  })
})

// What happened: the session was read after the run had been searched, and one that was started in between was a conflict.
it.each(shared)(
  'over $name two servers continue an answer with one id, though one starts it while the other searches',
  async ({ make }) => {
    const open = (engine: Engine) => {
      const node = createMillrace({ engine, leaseMs: 5000, onError: () => {} })
      onTestFinished(() => node.close())
      return node
    }
    const engine = make()
    let meet: (() => Promise<unknown>) | undefined
    const [one, two] = [
      open(make()),
      open({
        ...engine,
        async inspect(log) {
          const state = await engine.inspect(log)
          if (log === 'run/again') await meet?.()
          return state
        },
      }),
    ]
    const run = await one.ask({ query: 'x', id: 'first', models: ['sim:hang'] })
    run.stop()
    await run.ended
    const request = { run: run.id, session: run.session, id: 'again' }
    meet = () => one.resume(request)
    expect((await two.resume(request)).id).toBe('again')
    expect((await two.readSession(run.session))?.runs.map((each) => each.run)).toEqual(['first', 'again'])
  },
)
