/** A server that is killed while it has many readers: what any reader saw is there after the restart, without intervention. */
import { once } from 'node:events'
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Chance } from '../src/faults/chance.ts'
import { makeFolder } from '../src/faults/folder.ts'
import { ask } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { type ServerProcess, startMillrace } from '../src/faults/server-process.ts'
import { noteTime, percentile } from '../src/faults/tally.ts'
import { type Asked, createWorld } from '../src/faults/world.ts'

const sessions = 10
const readers = 20

itWithstands({
  fault: 'F1 kill -9 of a server over SQLite, 200 readers',
  claim: 'keeps what any reader saw, ends every run, and completes one that is resumed',
  open: async (tally) => ({ world: createWorld(tally), server: await startMillrace(['--data', makeFolder()]) }),
  async round({ world, server }, chance, tally) {
    const { url } = server
    const asked: Asked[] = []
    for (let index = 0; index < sessions; index++) {
      // Some complete before the kill; one is short enough to complete soon after it is resumed.
      const model =
        index === 0 ? 'sim:count?n=150&tps=100' : `sim:count?n=${chance.pick([10, 100_000])}&tps=${chance.whole(20, 100)}`
      const started = await world.start(url, model)
      world.read(started.session, readers - 2, [url])
      world.read(started.session, 2, [url], 'websocket')
      asked.push(started)
    }
    const channel = world.openChannel()
    world.read(channel, 3, [url])
    const stop = world.publish(channel, () => url)
    await sleep(chance.whole(0, 700))
    const resumed = tally.times.get('resume')?.length ?? 0
    const killedAt = performance.now()
    await server.end()
    await server.restart()
    const backAt = performance.now()
    await world.until(() => asked.every(({ session, run }) => session.ends.has(run)), 'the ends of all runs')
    noteTime(tally, 'end', performance.now() - backAt)
    for (const { session, run } of asked) expect(['interrupted', 'completed']).toContain(session.ends.get(run)?.status)
    const { session, run } = asked[0] as Asked
    if (session.ends.get(run)?.status === 'interrupted') {
      const next = await world.resume(url, { session, run })
      await world.until(() => session.ends.has(next.run), 'the end of the run that goes on')
      expect(session.ends.get(next.run)?.status).toBe('completed')
      const { runs } = await ask<Transcript>(`${url}/api/sessions/${session.id}`)
      const text = runs.map(({ lanes }) => lanes.map((lane) => lane.text).join('')).join('')
      expect(text).toBe(Array.from({ length: 150 }, (_, index) => `${index + 1} `).join(''))
    }
    await stop()
    await world.settle(url)
    // Each was cut off by the kill, and could not reconnect before the restart.
    for (const ms of tally.times.get('resume')?.slice(resumed) ?? [])
      noteTime(tally, 'back', Math.max(0, ms - (backAt - killedAt)))
  },
  after({ times }) {
    expect(times.get('back')?.length).toBeGreaterThanOrEqual(sessions * readers)
  },
  afterMany({ times }) {
    expect(percentile(times.get('back') ?? [], 0.99)).toBeLessThan(2000)
    expect(percentile(times.get('end') ?? [], 0.99)).toBeLessThan(2000)
  },
})

interface Transcript {
  readonly runs: readonly { readonly lanes: readonly { readonly text: string }[] }[]
}

const stalls = [
  {
    fault: 'F4 a server over SQLite that is paused, as with a blocked event loop',
    async stall({ signal }: ServerProcess, chance: Chance) {
      signal('SIGSTOP')
      // One in ten pauses is long.
      await sleep(chance.whole(1, 10) === 1 ? 5000 : chance.whole(100, 2000))
      signal('SIGCONT')
    },
  },
  {
    fault: 'F24 a server over SQLite that has a fifth of the processor',
    async stall({ signal }: ServerProcess, chance: Chance) {
      for (let turn = chance.whole(10, 30); turn > 0; turn--) {
        signal('SIGSTOP')
        await sleep(80)
        signal('SIGCONT')
        await sleep(20)
      }
    },
  },
]

for (const { fault, stall } of stalls)
  itWithstands({
    fault,
    claim: 'continues every run and every reader, and nothing is lost or repeated',
    few: 1,
    open: async (tally) => ({ world: createWorld(tally), server: await startMillrace(['--data', makeFolder()]) }),
    async round({ world, server }, chance, tally) {
      const { url } = server
      const asked: Asked[] = []
      for (let index = 0; index < 5; index++) {
        const started = await world.start(url, `sim:count?n=${chance.whole(20, 60)}&tps=${chance.whole(50, 200)}`)
        world.read(started.session, 8, [url])
        asked.push(started)
      }
      const channel = world.openChannel()
      world.read(channel, 3, [url])
      const stop = world.publish(channel, () => url)
      await sleep(chance.whole(0, 200))
      await stall(server, chance)
      const backAt = performance.now()
      await world.until(() => asked.every(({ session, run }) => session.ends.has(run)), 'the ends of all runs')
      noteTime(tally, 'end', performance.now() - backAt)
      for (const { session, run } of asked) expect(session.ends.get(run)?.status).toBe('completed')
      await stop()
      await world.settle(url)
    },
  })

itWithstands({
  fault: 'F22 a server at its limit of open files',
  claim: 'rejects others with a code, responds to /healthz, serves the readers it has, and recovers',
  few: 1,
  open: async (tally) => ({
    world: createWorld(tally),
    server: await startMillrace(['--data', makeFolder()], 'ulimit -n 80'),
  }),
  async round({ world, server }, chance) {
    const { url } = server
    const { session, run } = await world.start(url, 'sim:count?n=100000&tps=50')
    world.read(session, 5, [url])
    await world.until(() => session.events > 0, 'the first events')
    // More than it can accept: they connect, and wait.
    const { port } = new URL(url)
    const sockets = Array.from({ length: chance.whole(60, 200) }, () => connect(Number(port), '127.0.0.1').on('error', () => {}))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    const { events } = session
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'x'.repeat(22),
      'sec-websocket-version': '13',
    }
    for (const [path, headers] of [
      [`/api/stream?session=${session.id}`, {}],
      [`/api/stream?session=${session.id}&live=poll`, {}],
      ['/ws/chat', upgrade],
    ] as const)
      expect(await askOnce(`${url}${path}`, headers)).toEqual({ status: 503, retryAfter: '5', code: 'server_full' })
    for (let attempt = 1; attempt <= 10; attempt++) expect(await askOnce(`${url}/healthz`)).toMatchObject({ status: 200 })
    await world.until(() => session.events > events + 20, 'events for the readers it has')
    for (const socket of sockets) socket.destroy()
    const status = await again(() => ask<{ status: string }>(`${url}/api/runs/${run}/stop`, {}))
    expect(status.status).toBe('stopped')
    await world.until(() => session.ends.has(run), 'the end of the run')
    await world.settle(url)
  },
})

/** Over a connection of its own. */
async function askOnce(url: string, headers: OutgoingHttpHeaders = {}) {
  const asking = request(url, { agent: false, headers }).end()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  const { error } = (await json(response)) as { error?: { code: string } }
  return { status: response.statusCode, retryAfter: response.headers['retry-after'], code: error?.code }
}

/** Retries until it gets a response: what was rejected at the limit may be sent again at once. */
async function again<T>(asking: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await asking()
    } catch (error) {
      if (attempt === 50) throw error
      await sleep(50)
    }
  }
}
