/** A cluster of three NATS servers with three replicas serves every log when one server is missing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import type { MillraceError } from 'millrace'
import { natsEngine } from 'millrace/nats'
import { expect, it, onTestFinished } from 'vitest'
import { numbered, numbers, open, range, readAll } from '../src/engine/support.ts'
import { startNatsCluster } from '../src/servers/nats-cluster.ts'

it('nats engine, whose cluster loses its leader: waits for the next one and has every event once and in order', async () => {
  const cluster = await startNatsCluster()
  onTestFinished(() => cluster.close())
  const make = () => natsEngine({ url: cluster.url })
  const writer = await open(make)
  const reader = await open(make)
  for (const n of range(1, 20)) await writer.append('log', numbered(n, n), { key: `k${n}` })
  expect(numbers(await readAll(reader, 'log'))).toEqual(range(1, 20))
  const leader = await cluster.leader()
  await leader.kill()
  // The first append waits for about ten seconds. Its retry MUST NOT append it twice.
  for (const n of range(21, 40)) await retryUntilDone(() => writer.append('log', numbered(n, n), { key: `k${n}` }))
  for (const engine of [writer, reader, await open(make)])
    expect(numbers(await retryUntilDone(() => readAll(engine, 'log')))).toEqual(range(1, 40))
}, 150_000)

it('nats engine, whose NATS server is cut off from the others: connects to another server', async () => {
  const cluster = await startNatsCluster()
  onTestFinished(() => cluster.close())
  const leader = await cluster.leader()
  const engine = await open(() => natsEngine({ url: leader.url }))
  await engine.append('log', numbered(1, 1), { key: 'k1' })
  cluster.isolate(leader, 'outgoing')
  cluster.isolate(leader, 'incoming')
  await retryUntilDone(() => engine.append('log', numbered(2, 2), { key: 'k2' }))
  expect(numbers(await retryUntilDone(() => readAll(engine, 'log')))).toEqual([1, 2])
}, 150_000)

it('nats engine in a cluster, where a notification is lost: notifies watchers within seconds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nats-mute-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'mute.conf')
  const users = '{ user: any, password: any }, { user: mute, password: mute, permissions: { publish: { deny: ["*.notify.>"] } } }'
  writeFileSync(config, `no_auth_user: any\nauthorization { users: [ ${users} ] }\n`)
  const cluster = await startNatsCluster({ args: ['-c', config] })
  onTestFinished(() => cluster.close())
  const mute = await open(() => natsEngine({ url: cluster.url.replaceAll('nats://', 'nats://mute:mute@') }))
  const other = await open(() => natsEngine({ url: cluster.url }))
  await retryUntilDone(() => mute.append('log', numbered(1, 1), { key: 'k1' }))
  let bell = Promise.withResolvers<void>()
  other.watch('log', () => bell.resolve())
  await retryUntilDone(() => readAll(other, 'log'))
  const notified: string[] = []
  await collectSubjects(cluster.url, '*.notify.>', notified)
  bell = Promise.withResolvers()
  await retryUntilDone(() => mute.append('log', numbered(2, 2), { key: 'k2' }))
  const appendedAt = performance.now()
  await bell.promise
  expect(performance.now() - appendedAt).toBeLessThan(30_000)
  expect(notified).toEqual([])
  expect(numbers(await retryUntilDone(() => readAll(other, 'log')))).toEqual([1, 2])
}, 150_000)

async function collectSubjects(url: string, subject: string, subjects: string[]): Promise<void> {
  const connection = await connect({ servers: url.split(',') })
  onTestFinished(() => connection.close())
  connection.subscribe(subject, { callback: (_, message) => void subjects.push(message.subject) })
  await connection.flush()
}

/** Repeats a call that fails with a retryable error, as clients do: three servers on two cores may need longer than one call. */
async function retryUntilDone<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!(error as MillraceError).retryable || attempt === 4) throw error
    }
  }
}
