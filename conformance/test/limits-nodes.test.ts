/** Limits and usage over several servers of one engine. */
import { createMillrace, type Engine } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { redisEngine } from 'millrace/redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startNats } from '../src/servers/nats.ts'
import { startRedis } from '../src/servers/redis.ts'
import { follow, post, readToEnd, type Started, startNodeOver } from './support/nodes.ts'

/** A server whose users say in a header who they are, with limits of their own. */
async function openNode(engine: Engine, limits: object = {}) {
  const millrace = createMillrace({
    engine,
    leaseMs: 600,
    model: 'sim:count?n=100000&tps=20',
    authenticate: () => ({ id: 'ada', limits }),
    onError: () => {},
  })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const ask = async (id?: string) => {
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const response = await fetch(`${url}/api/chat`, { method: 'POST', headers, body: JSON.stringify({ query: 'x', id }) })
    const body = (await response.json()) as { run?: string; error?: { code: string } }
    return { run: body.run, code: body.error?.code }
  }
  return { millrace, url, ask }
}

async function startEngine(name: string) {
  const server = await (name === 'redis' ? startRedis() : startNats())
  onTestFinished(() => server.close())
  return { url: server.url, make: (): Engine => (name === 'redis' ? redisEngine : natsEngine)({ url: server.url }) }
}

describe('two servers over one Redis', () => {
  it('count the runs of a principal together, by the minute', async () => {
    const { make } = await startEngine('redis')
    const perMinute = await Promise.all([openNode(make(), { runsPerMinute: 3 }), openNode(make(), { runsPerMinute: 3 })])
    const asked = []
    for (let n = 0; n < 4; n++) asked.push((await (perMinute[n % 2] as (typeof perMinute)[0]).ask()).code)
    expect(asked).toEqual([undefined, undefined, undefined, 'rate_limited'])
  })

  it('count the runs of a principal together that are in progress', async () => {
    const { make } = await startEngine('redis')
    const [one, other] = await Promise.all([openNode(make(), { runsInFlight: 1 }), openNode(make(), { runsInFlight: 1 })])
    const { run } = await one.ask()
    expect((await other.ask()).code).toBe('too_many_runs')
    one.millrace.findRun(run as string)?.stop()
    await one.millrace.findRun(run as string)?.ended
    await expect.poll(async () => (await other.ask()).code).toBeUndefined()
  })

  it('count a request once that is sent again to the other, also where the limit is reached', async () => {
    const { make } = await startEngine('redis')
    const limits = { runsPerMinute: 2, runsInFlight: 2 }
    const [one, other] = await Promise.all([openNode(make(), limits), openNode(make(), limits)])
    for (const node of [one, other, one, other]) expect(await node.ask('same')).toEqual({ run: 'same', code: undefined })
    expect((await other.ask('second')).code).toBeUndefined()
    expect((await one.ask('third')).code).toMatch(/too_many_runs|rate_limited/)
    expect(await one.ask('second')).toEqual({ run: 'second', code: undefined })
  })
})

describe.each(['redis', 'nats'])('the usage of servers over one %s', (name) => {
  it('is one ledger, and a budget stops runs on all of them', async () => {
    const { make } = await startEngine(name)
    const [one, other] = await Promise.all([openNode(make(), { tokensPerDay: 3 }), openNode(make(), { tokensPerDay: 3 })])
    const run = await one.millrace.run({ source: ['a', 'b', 'c', 'd'], principal: 'ada' })
    await run.ended
    expect(await other.millrace.usage.read()).toMatchObject([{ principal: 'ada', runs: 1, outputTokens: 4 }])
    expect(await other.ask()).toMatchObject({ code: 'budget_exhausted' })
  })

  it('has the run of a killed server once, ended by whichever server finds it', async () => {
    const { url, make } = await startEngine(name)
    const killed = await startNodeOver(url)
    const [one, other] = await Promise.all([openNode(make()), openNode(make())])
    const started = await post<Started>(`${killed.url}/api/chat`, { query: 'count', model: 'sim:count?n=100000&tps=200' })
    for await (const { event } of follow(one.url, started.session)) if (event === 'message') break
    const reading = [one, other].map((node) => readToEnd(node.url, started))
    killed.child.kill('SIGKILL')
    expect(await Promise.all(reading)).toMatchObject([{ status: 'interrupted' }, { status: 'interrupted' }])
    const usage = await one.millrace.usage.read()
    expect(usage).toMatchObject([{ principal: 'anonymous', runs: 1 }])
    expect(usage[0]?.outputTokens).toBeGreaterThan(0)
    expect(await other.millrace.usage.read()).toEqual(usage)
  })
})
