/** Counts that the servers of an engine share: `Counters` in log/log.ts. */
import type { Counters, Engine } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

export interface CountersOptions {
  readonly name: string
  /** Two servers of one store. */
  readonly makeNodes: () => Promise<readonly [Engine, Engine]>
}

export function countersConformance({ name, makeNodes }: CountersOptions): void {
  const open = async (): Promise<readonly [Counters, Counters]> => {
    const nodes = await makeNodes()
    onTestFinished(() => Promise.all(nodes.map((node) => node.close())).then(() => {}))
    return [nodes[0].counters as Counters, nodes[1].counters as Counters]
  }

  describe(`the counters of the ${name} engine`, () => {
    it('add what all nodes add, also at once, and begin again after the window', async () => {
      const [one, other] = await open()
      // A call has half a second; the first ones of a server also connect it.
      await expect.poll(() => Promise.all([one, other].map((node) => node.add('first', 1, 60_000)))).toHaveLength(2)
      await Promise.all(Array.from({ length: 100 }, (_, n) => (n % 2 === 0 ? one : other).add('a', 1, 60_000)))
      const { sum, leftMs } = await other.add('a', -3, 60_000)
      expect(sum).toBe(97)
      expect(leftMs).toBeGreaterThan(50_000)
      expect(leftMs).toBeLessThanOrEqual(60_000)
      expect((await one.add('b', 2, 100)).sum).toBe(2)
      await vi.waitFor(async () => expect((await one.add('b', 1, 100)).sum).toBe(1), { interval: 110, timeout: 10_000 })
    })

    it('give no more places than there are, whichever node asks, and give one back once', async () => {
      const [one, other] = await open()
      const held = await Promise.all(
        Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? one : other).hold('runs', `holder ${n}`, 7, 60_000)),
      )
      expect(held.filter(Boolean)).toHaveLength(7)
      const holder = `holder ${held.indexOf(true)}`
      expect(await other.hold('runs', holder, 7, 60_000)).toBe(true)
      await other.release('runs', holder)
      await one.release('runs', holder)
      expect(await one.hold('runs', 'next', 7, 60_000)).toBe(true)
      expect(await other.hold('runs', 'last', 7, 60_000)).toBe(false)
      expect(await other.hold('others', 'last', 7, 60_000)).toBe(true)
    })

    it('free the place of a node that died after its time', async () => {
      const [one, other] = await open()
      expect(await one.hold('runs', 'dead', 1, 200)).toBe(true)
      expect(await other.hold('runs', 'next', 1, 60_000)).toBe(false)
      await expect.poll(() => other.hold('runs', 'next', 1, 60_000)).toBe(true)
    })
  })
}
