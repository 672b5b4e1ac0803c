/** What ephemeral logs do over an engine, on every node that shares it. */
import { type Engine, EphemeralLogs, type EphemeralOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { numbered, numbers, range, readAll, rejectionOf } from './support.ts'

export interface EphemeralSuite {
  readonly name: string
  /** Engines over the same, empty storage: one, or several where the engine is shared. */
  readonly makeNodes: () => Promise<readonly [Engine, ...Engine[]]> | readonly [Engine, ...Engine[]]
}

export function ephemeralConformance({ name, makeNodes }: EphemeralSuite): void {
  /** The first and the last node, which are the same where there is one. */
  async function openNodes(options?: EphemeralOptions): Promise<[EphemeralLogs, EphemeralLogs]> {
    const engines = await makeNodes()
    const nodes = engines.map((engine) => new EphemeralLogs(engine, options))
    onTestFinished(async () => {
      for (const each of [...nodes, ...engines]) await each.close()
    })
    return [nodes[0] as EphemeralLogs, nodes.at(-1) as EphemeralLogs]
  }

  const read = async ({ copies }: EphemeralLogs, log: string) => numbers(await readAll(copies, log))

  describe(`ephemeral logs over ${name}`, () => {
    it('shows every append on every node with the log open, once and in order', async () => {
      const [a, b] = await openNodes()
      await Promise.all([a.open('room'), b.open('room')])
      for (const n of range(1, 50)) await a.append('room', numbered(n, n))
      for (const node of [a, b]) await expect.poll(() => read(node, 'room')).toEqual(range(1, 50))
      await b.append('room', numbered(51, 51))
      for (const node of [a, b]) await expect.poll(() => read(node, 'room')).toEqual(range(1, 51))
    })

    it('calls the bells of a copy when any node appends', async () => {
      const [a, b] = await openNodes()
      await b.open('room')
      const notified = Promise.withResolvers<void>()
      b.copies.watch('room', notified.resolve)
      await a.append('room', numbered(1, 1))
      await notified.promise
      expect(await read(b, 'room')).toEqual([1])
    })

    it('delivers bytes as bytes, and no event of another log', async () => {
      const [a, b] = await openNodes()
      await Promise.all([b.open('room'), b.open('other')])
      await a.append('other', numbered(1, 1))
      await a.append('room', [{ type: 'cursor', data: Uint8Array.of(0, 255) }])
      await expect.poll(async () => (await readAll(b.copies, 'room')).map(({ data }) => data)).toEqual([Uint8Array.of(0, 255)])
      await expect.poll(() => read(b, 'other')).toEqual([1])
    })

    it('keeps a copy until its last release, and opens the next with a new epoch', async () => {
      const [a, b] = await openNodes()
      const [first, second] = await Promise.all([b.open('room'), b.open('room')])
      const before = await b.copies.inspect('room')
      await first()
      await first()
      await a.append('room', numbered(1, 1))
      await expect.poll(() => read(b, 'room')).toEqual([1])
      await second()
      expect(await b.copies.inspect('room')).toBeUndefined()
      await b.open('room')
      const after = await b.copies.inspect('room')
      expect(after?.head.epoch).not.toBe(before?.head.epoch)
      expect(after?.head.offset).toBe(0)
    })

    it('has no copy of a log that is not open', async () => {
      const [a] = await openNodes()
      await a.append('room', numbered(1, 1))
      expect(await a.copies.inspect('room')).toBeUndefined()
    })

    it('bounds a log in bytes, and reports what is gone as a gap', async () => {
      const [a, b] = await openNodes({ bytesMax: 5000 })
      await b.open('room')
      const { head } = (await b.copies.inspect('room')) ?? expect.fail('The log is not open.')
      for (const n of range(1, 100)) await a.append('room', numbered(n, n))
      await expect.poll(async () => (await b.copies.inspect('room'))?.head.offset).toBe(100)
      const page = await b.copies.read('room', head)
      expect(page.gap?.to.offset).toBeGreaterThan(40)
      expect(numbers(page.events).at(-1)).toBe(100)
    })

    it('forgets events by age, and keeps the open log', async () => {
      const [a, b] = await openNodes({ ageMsMax: 60 })
      await b.open('room')
      const { head } = (await b.copies.inspect('room')) ?? expect.fail('The log is not open.')
      await a.append('room', numbered(1, 1))
      await expect.poll(async () => (await b.copies.inspect('room'))?.start.offset).toBe(1)
      // Several times the age, in which a log that is not open would be deleted.
      await new Promise((resolve) => setTimeout(resolve, 400))
      expect((await b.copies.inspect('room'))?.head).toEqual({ ...head, offset: 1 })
    })

    it('rejects reads once it is closed', async () => {
      const [a] = await openNodes()
      await a.open('room')
      await a.close()
      expect(await rejectionOf(a.copies.inspect('room'))).toBe('server_stopping')
    })
  })
}
