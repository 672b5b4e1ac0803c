/** What an engine promises that several servers share: two of it over the same logs are one. */
import type { Engine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbered, numbers, open, range, readAll, refusal, refusalOf } from './support.ts'

export interface NodesSuite {
  readonly name: string
  /** Two engines over the same, empty storage. */
  readonly makeNodes: () => Promise<readonly [Engine, Engine]> | readonly [Engine, Engine]
}

export function nodesConformance({ name, makeNodes }: NodesSuite): void {
  const openNodes = async (): Promise<[Engine, Engine]> => {
    const nodes = await makeNodes()
    const make =
      (index: 0 | 1): EngineFactory =>
      () =>
        nodes[index]
    return [await open(make(0)), await open(make(1))]
  }

  describe(`${name} engine on two nodes`, () => {
    it('shows on one what the other has appended, once its append is acknowledged', async () => {
      const [a, b] = await openNodes()
      for (const n of range(1, 30)) {
        const { position } = await a.append('log', numbered(n, n))
        expect((await b.inspect('log'))?.head).toEqual(position)
      }
      expect(numbers(await readAll(b, 'log'))).toEqual(range(1, 30))
    })

    it('reads on one, from any position, what both compact at once while others append', async () => {
      const [a, b] = await openNodes()
      const { epoch } = (await a.append('log', [])).position
      for (let n = 1; n <= 700; n += 7) {
        const node = n % 2 === 0 ? a : b
        await Promise.all([
          node.append('log', numbered(n, n + 6)),
          ...(n % 70 === 1 ? [a.compact?.('log'), b.compact?.('log')] : []),
        ])
      }
      await Promise.all([a.compact?.('log'), b.compact?.('log')])
      for (const node of [a, b]) {
        await node.inspect('log')
        for (const offset of [0, 1, 69, 350, 699]) {
          const { events } = await node.read('log', { epoch, offset }, { eventsMax: 1000 })
          expect(numbers(events)).toEqual(range(offset + 1, 700))
        }
      }
    })

    it('rings on one for what the other appends, and for the end of the log', async () => {
      const [a, b] = await openNodes()
      const { position } = await a.append('log', [])
      let at = position
      const seen: unknown[] = []
      let reading = Promise.resolve()
      const done = Promise.withResolvers<void>()
      const ended = Promise.withResolvers<void>()
      const read = () => {
        reading = reading.then(async () => {
          try {
            const page = await b.read('log', at)
            at = page.position
            seen.push(...numbers(page.events))
            if (seen.length === 100) done.resolve()
          } catch (error) {
            if (refusalOf(error) === 'session_not_found') ended.resolve()
          }
        })
      }
      b.watch('log', read)
      read()
      for (const n of range(1, 100)) await a.append('log', numbered(n, n))
      await done.promise
      expect(seen).toEqual(range(1, 100))
      await a.delete('log')
      await ended.promise
    })

    it('rings for whatever is behind the head of a page', async () => {
      const [a, b] = await openNodes()
      const { epoch } = (await b.append('log', [])).position
      let bell = Promise.withResolvers<void>()
      a.watch('log', () => bell.resolve())
      await a.append('log', numbered(1, 1))
      await b.append('log', numbered(2, 2))
      // Always from the beginning, of which this node holds less than there is.
      for (;;) {
        bell = Promise.withResolvers()
        if ((await a.read('log', { epoch, offset: 0 })).head.offset === 2) return
        await bell.promise
      }
    })

    it('gives every event one place, whoever appends, and shows both the same', async () => {
      const nodes = await openNodes()
      const answers = await Promise.all(
        range(1, 200).map((n) =>
          (nodes[n % 2] as Engine).append('log', numbered(n, n)).then(({ position }) => [position.offset, n] as const),
        ),
      )
      const placed = new Map(answers)
      expect([...placed.keys()].toSorted((x, y) => x - y)).toEqual(range(1, 200))
      for (const node of nodes)
        for (const { offset, data } of await readAll(node, 'log')) expect((data as { n: number }).n).toBe(placed.get(offset))
    })

    it('lets one of two create a log, and one of two use a key', async () => {
      const [a, b] = await openNodes()
      for (const round of range(1, 25)) {
        const log = `log-${round}`
        const answers = await Promise.all([a, b].map((node, index) => node.append(log, numbered(index, index), { key: 'first' })))
        expect(answers.filter(({ duplicate }) => duplicate)).toHaveLength(1)
        expect(new Set(answers.map(({ position }) => JSON.stringify(position))).size).toBe(1)
        expect(await readAll(a, log)).toEqual(await readAll(b, log))
      }
    })

    it('fences on one what the other has ended', async () => {
      const [a, b] = await openNodes()
      const { position } = await a.append('log', numbered(1, 1), { unless: 'end' })
      await b.append('log', numbered(2, 2), { key: 'end' })
      expect(await refusal(a.append('log', numbered(3, 3), { epoch: position.epoch, unless: 'end' }))).toBe('fenced')
    })

    it('takes on one a key that was used in a log the other has deleted', async () => {
      const [a, b] = await openNodes()
      await a.append('log', numbered(1, 1), { key: 'k' })
      await b.delete('log')
      expect((await a.append('log', numbered(2, 2), { key: 'k', unless: 'k' })).duplicate).toBe(false)
      expect(numbers(await readAll(b, 'log'))).toEqual([2])
    })

    it('refuses on one an epoch that the other has ended', async () => {
      const [a, b] = await openNodes()
      const { position } = await a.append('log', numbered(1, 3))
      await b.delete('log')
      expect(await refusal(a.append('log', numbered(4, 4), { epoch: position.epoch }))).toBe('position_foreign')
      const made = await b.append('log', numbered(1, 5))
      expect(await refusal(a.append('log', numbered(4, 4), { epoch: position.epoch }))).toBe('position_foreign')
      expect(await refusal(a.read('log', position))).toBe('position_foreign')
      expect((await a.append('log', numbered(6, 6))).position).toEqual({ epoch: made.position.epoch, offset: 6 })
    })
  })
}
