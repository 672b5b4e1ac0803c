/** What a shared engine promises: two instances over the same storage behave as one. */
import type { Engine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type EngineFactory, errorCode, numbered, numbers, open, range, readAll, rejectionOf } from './support.ts'

export interface NodesSuite {
  readonly name: string
  /** Two instances over the same, empty storage. */
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
    it('shows on one node what the other has appended, once its append is acknowledged', async () => {
      const [a, b] = await openNodes()
      for (const n of range(1, 30)) {
        const { position } = await a.append('log', numbered(n, n))
        expect((await b.inspect('log'))?.head).toEqual(position)
      }
      expect(numbers(await readAll(b, 'log'))).toEqual(range(1, 30))
    })

    it('reads the same from any position while both nodes compact and others append', async () => {
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

    it('notifies one node of what the other appends, and of the deletion of the log', async () => {
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
            if (errorCode(error) === 'session_not_found') ended.resolve()
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

    it('notifies of every event behind the head of a page', async () => {
      const [a, b] = await openNodes()
      const { epoch } = (await b.append('log', [])).position
      let bell = Promise.withResolvers<void>()
      a.watch('log', () => bell.resolve())
      await a.append('log', numbered(1, 1))
      await b.append('log', numbered(2, 2))
      // Always from the start, of which this node caches only a part.
      for (;;) {
        bell = Promise.withResolvers()
        if ((await a.read('log', { epoch, offset: 0 })).head.offset === 2) return
        await bell.promise
      }
    })

    it('gives every event one position, whichever node appends, and shows both nodes the same', async () => {
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

    // A node counts as dead when its lease's log is missing, and a lease keeps one event.
    it('shows a log without interruption while the other node appends to it and keeps only the newest event', async () => {
      const [a, b] = await openNodes()
      const { position } = await a.append('log', numbered(0, 0), { keep: 1 })
      let isOver = false
      const appending = Promise.all(range(1, 300).map((n) => a.append('log', numbered(n, n), { keep: 1 }))).finally(() => {
        isOver = true
      })
      const epochs = new Set<string | undefined>()
      while (!isOver) epochs.add((await b.inspect('log'))?.head.epoch)
      await appending
      expect([...epochs]).toEqual([position.epoch])
    })

    it('lets one of two nodes create a log, and one of two use a key', async () => {
      const [a, b] = await openNodes()
      for (const round of range(1, 25)) {
        const log = `log-${round}`
        const answers = await Promise.all([a, b].map((node, index) => node.append(log, numbered(index, index), { key: 'first' })))
        expect(answers.filter(({ duplicate }) => duplicate)).toHaveLength(1)
        expect(new Set(answers.map(({ position }) => JSON.stringify(position))).size).toBe(1)
        expect(await readAll(a, log)).toEqual(await readAll(b, log))
      }
    })

    it('fences on one node what the other has closed', async () => {
      const [a, b] = await openNodes()
      const { position } = await a.append('log', numbered(1, 1), { unless: 'end' })
      await b.append('log', numbered(2, 2), { key: 'end' })
      expect(await rejectionOf(a.append('log', numbered(3, 3), { epoch: position.epoch, unless: 'end' }))).toBe('fenced')
    })

    it('accepts on one node a key of a log that the other has deleted', async () => {
      const [a, b] = await openNodes()
      await a.append('log', numbered(1, 1), { key: 'k' })
      await b.delete('log')
      expect((await a.append('log', numbered(2, 2), { key: 'k', unless: 'k' })).duplicate).toBe(false)
      expect(numbers(await readAll(b, 'log'))).toEqual([2])
    })

    it('broadcasts to the subscribers of a topic on every node, in order, until they unsubscribe', async () => {
      const [a, b] = await openNodes()
      const [sender, receiver] = [a.broadcast, b.broadcast]
      if (sender === undefined || receiver === undefined) throw new Error('An engine that is shared has a broadcast.')
      const received: string[] = []
      let arrived = Promise.withResolvers<void>()
      const unsubscribe = await receiver.subscribe('topic', (message) => received.push(`b ${message}`))
      await sender.subscribe('topic', (message) => {
        received.push(`a ${message}`)
        if (message.startsWith('last')) arrived.resolve()
      })
      await sender.publish('other', 'of another topic')
      await Promise.all(range(1, 20).map((n) => sender.publish('topic', `${n}`)))
      await sender.publish('topic', 'last')
      await arrived.promise
      const messages = [...range(1, 20), 'last']
      await expect.poll(() => received.filter((each) => each.startsWith('b'))).toEqual(messages.map((each) => `b ${each}`))
      expect(received.filter((each) => each.startsWith('a'))).toEqual(messages.map((each) => `a ${each}`))
      unsubscribe()
      arrived = Promise.withResolvers()
      await sender.publish('topic', 'last of all')
      await arrived.promise
      expect(received).not.toContain('b last of all')
    })

    it('rejects a broadcast once it is closed', async () => {
      const [a] = await openNodes()
      const { broadcast } = a
      if (broadcast === undefined) throw new Error('An engine that is shared has a broadcast.')
      await a.close()
      expect(await rejectionOf(broadcast.publish('topic', 'late'))).toBe('server_stopping')
      expect(await rejectionOf(broadcast.subscribe('topic', () => {}))).toBe('server_stopping')
    })

    it('rejects on one node an epoch that the other has ended', async () => {
      const [a, b] = await openNodes()
      const { position } = await a.append('log', numbered(1, 3))
      await b.delete('log')
      expect(await rejectionOf(a.append('log', numbered(4, 4), { epoch: position.epoch }))).toBe('position_foreign')
      const made = await b.append('log', numbered(1, 5))
      expect(await rejectionOf(a.append('log', numbered(4, 4), { epoch: position.epoch }))).toBe('position_foreign')
      expect(await rejectionOf(a.read('log', position))).toBe('position_foreign')
      expect((await a.append('log', numbered(6, 6))).position).toEqual({ epoch: made.position.epoch, offset: 6 })
    })
  })
}
