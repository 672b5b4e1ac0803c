/**
 * Runs the suite of Durable Streams, as it is published, over an engine; over one that servers share, with two servers behind
 * one address. Each engine has a file of its own: the suite waits for most of its time.
 */
// oxlint-disable no-empty-pattern -- the first argument of beforeAll MUST be a pattern
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { createMillrace, type Engine } from 'millrace'
import { afterAll, beforeAll, describe, type RunnerTestFile, type RunnerTestSuite } from 'vitest'

type Close = () => unknown

export function durableStreamsSuite(name: string, makeEngines: (onEnd: (close: Close) => void) => Promise<Engine[]>): void {
  describe(name, () => {
    const options = { baseUrl: '', subscriptions: true }
    const ends: Close[] = []
    const onEnd = (close: Close) => void ends.unshift(close)

    // biome-ignore lint/correctness/noEmptyPattern: the suite is the second argument.
    beforeAll(async ({}, suite) => {
      oneByOne(suite)
      const engines = await makeEngines(onEnd)
      const ports = await Promise.all(engines.map((engine) => listen(engine, onEnd)))
      options.baseUrl = `http://127.0.0.1:${await share(ports, onEnd)}/ds`
    })
    afterAll(async () => {
      for (const close of ends) await close()
    })

    runConformanceTests(options)
  })
}

/** The tests of subscriptions have ids from the clock, and patterns that have the streams of the others. */
function oneByOne({ tasks }: RunnerTestSuite | RunnerTestFile): void {
  for (const task of tasks) {
    if (task.type !== 'suite') continue
    if (task.name === 'Reserved subscription APIs') for (const each of [task, ...task.tasks]) each.concurrent = false
    else oneByOne(task)
  }
}

async function listen(engine: Engine, onEnd: (close: Close) => void): Promise<number> {
  // One test sends the preflight of a page of this origin.
  const access = { origins: ['https://example.com'] }
  const durableStreams = { subscriptions: true }
  const millrace = createMillrace({ engine, dialects: ['durable-streams'], durableStreams, access, privateHosts: ['127.0.0.1'] })
  onEnd(() => millrace.close())
  return (await millrace.listen({ port: 0 })).port
}

/** One port for several servers: each takes its connections in turn. */
async function share(ports: readonly number[], onEnd: (close: Close) => void): Promise<number> {
  let accepted = 0
  const server = createServer((near) => {
    const far = connect(ports[accepted++ % ports.length] as number, '127.0.0.1')
    near.pipe(far).pipe(near)
    near.on('error', () => far.destroy()).on('close', () => far.destroy())
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
  }).listen(0, '127.0.0.1')
  onEnd(() => server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
