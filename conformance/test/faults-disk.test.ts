/** A full disk: what cannot be stored is rejected with a code, what is stored can be read, and freed space is used again. */
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { makeSmallDisk, smallDiskMissing } from '../src/faults/folder.ts'
import { ask, codeOf } from '../src/faults/request.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { startMillrace } from '../src/faults/server-process.ts'
import { allEnded, openShared } from '../src/faults/shared.ts'
import { noteTime } from '../src/faults/tally.ts'
import { createWorld } from '../src/faults/world.ts'
import { startRedis } from '../src/servers/redis.ts'

const missing = smallDiskMissing()
/**
 * Of one publisher, 20 ms apart. A run writes up to 50 ms later, and if space is freed before
 * any of its writes was rejected, it rightly continues.
 */
const refusalsMin = 20

describe.skipIf(missing)(`a server on a small disk${missing ? ` (skipped: ${missing})` : ''}`, () => {
  itWithstands({
    fault: 'F18 a full disk under SQLite, which then has room again',
    claim: 'ends the run as failed with its text, rejects what it cannot store, serves what it has, and continues',
    async open(tally) {
      // For all rounds; the write-ahead log alone takes about 16 MiB.
      const folder = makeSmallDisk(64 * 1024)
      return { folder, world: createWorld(tally), server: await startMillrace(['--data', folder]) }
    },
    async round({ folder, world, server: { url } }, chance, tally) {
      const asked = await world.start(url, `sim:count?n=100000&tps=${chance.whole(300, 900)}`)
      world.read(asked.session, 6, [url])
      const channel = world.openChannel()
      world.read(channel, 3, [url])
      // Several, so that the database gets reads and writes together.
      const stops = Array.from({ length: 4 }, () => world.openChannel()).map((each) => world.publish(each, () => url))
      const stop = world.publish(channel, () => url)
      await world.until(() => asked.session.events > chance.whole(20, 600), 'some of the answer')
      const filler = join(folder, 'filler')
      fill(filler, folder)
      const end = () => asked.session.ends.get(asked.run)
      // The last page may still have room for some.
      const filledAt = performance.now()
      // Five publish here.
      await world.until(() => world.rejections > 5 * refusalsMin, 'refusals')
      expect(await codeOfMuch(url)).toBe('log_full')
      // What is stored can be read by new readers, also next to writes that fail.
      for (let attempt = 1; attempt <= 20; attempt++) {
        const { runs } = await ask<{ runs: { lanes: { text: string }[] }[] }>(`${url}/api/sessions/${asked.session.id}`)
        expect(runs[0]?.lanes[0]?.text).toMatch(/^1 2 3 /)
      }
      expect((await fetch(`${url}/healthz`)).status).toBe(200)
      rmSync(filler)
      const freedAt = performance.now()
      await world.until(() => end() !== undefined, 'the end of the run')
      noteTime(tally, 'end', performance.now() - filledAt)
      expect(end()).toMatchObject({ status: 'failed', error: { code: 'log_full' } })
      const before = channel.events
      await world.until(() => channel.events > before, 'an event that there is room for again')
      noteTime(tally, 'back', performance.now() - freedAt)
      const next = await world.start(url, 'sim:count?n=5&tps=0', asked.session)
      await world.until(() => asked.session.ends.get(next.run)?.status === 'completed', 'the end of a run that comes after')
      await Promise.all([stop(), ...stops.map((each) => each())])
      await world.settle(url)
    },
  })
})

describe.skipIf(missing)(`Redis on a small disk${missing ? ` (skipped: ${missing})` : ''}`, () => {
  itWithstands({
    fault: 'F10 a full disk under Redis, which then has room again',
    claim: 'ends runs as failed with their text, rejects what it cannot store, serves what it has, and continues',
    few: 1,
    async open(tally) {
      const folder = makeSmallDisk(24 * 1024)
      return { folder, shared: await openShared(() => startRedis({ folder }), tally, { leaseMs: 2000, graceMs: 1000 }) }
    },
    async round({ folder, shared: { world, nodes, ask: askAll } }, chance, tally) {
      const [url, other] = nodes.map((node) => node.url) as [string, string]
      const asked = await askAll(4, 5, () => `sim:count?n=100000&tps=${chance.whole(100, 300)}`)
      const channel = world.openChannel()
      world.read(channel, 3, [url, other])
      const stop = world.publish(channel, () => url)
      await world.until(() => asked.every(({ session }) => session.events > chance.whole(5, 200)), 'some of each answer')
      const filler = join(folder, 'filler')
      fill(filler, folder)
      await world.until(() => world.rejections > refusalsMin, 'refusals')
      expect(await codeOfMuch(url)).toBe('log_full')
      for (const node of [url, other]) {
        const { runs } = await ask<{ runs: { lanes: { text: string }[] }[] }>(`${node}/api/sessions/${asked[1]?.session.id}`)
        expect(runs[0]?.lanes[0]?.text).toMatch(/^1 2 3 /)
      }
      rmSync(filler)
      const freedAt = performance.now()
      await world.until(() => allEnded(asked), 'the ends of all runs')
      noteTime(tally, 'end', performance.now() - freedAt)
      for (const { session, run } of asked)
        expect(session.ends.get(run)).toMatchObject({ status: 'failed', error: { code: 'log_full' } })
      const before = channel.events
      await world.until(() => channel.events > before, 'an event that there is room for again')
      noteTime(tally, 'back', performance.now() - freedAt)
      await stop()
      await world.settle(other)
    },
  })
})

/** Publishes a lot; a rejected append may have freed some space. */
async function codeOfMuch(url: string): Promise<string> {
  let code = ''
  for (let attempt = 1; attempt <= 50 && code === ''; attempt++)
    code = await codeOf(ask(`${url}/api/publish`, { channel: 'much', data: 'x'.repeat(20_000) }))
  return code
}

/** Fills the disk. */
function fill(file: string, folder: string): void {
  const { bavail, bsize } = statfsSync(folder)
  try {
    writeFileSync(file, Buffer.alloc(bavail * bsize + 1))
  } catch (error) {
    // The disk is full: writing more failed.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
