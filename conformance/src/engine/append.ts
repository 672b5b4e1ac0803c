import type { AppendOptions, NewEvent } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type EngineFactory, errorCode, numbered, numbers, open, range, readAll, rejectionOf } from './support.ts'

export function appendCases(make: EngineFactory): void {
  describe('append', () => {
    it('creates the log, numbers events from 1 and returns the last position', async () => {
      const engine = await open(make)
      const first = await engine.append('a', numbered(1, 3))
      expect(first).toEqual({ position: { epoch: expect.stringMatching(/^[0-9a-z]{8,32}$/), offset: 3 }, duplicate: false })
      const second = await engine.append('a', numbered(4, 4))
      expect(second.position).toEqual({ epoch: first.position.epoch, offset: 4 })
      expect((await readAll(engine, 'a')).map((event) => event.offset)).toEqual([1, 2, 3, 4])
    })

    it('creates an empty log with an empty batch, and keeps its epoch on the next one', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', [])
      expect(position.offset).toBe(0)
      expect((await engine.append('a', [])).position).toEqual(position)
      expect(await engine.inspect('a')).toEqual({ start: position, head: position })
    })

    it('returns type, data and time unchanged, bytes as bytes', async () => {
      const engine = await open(make)
      const before = Date.now() - 1000
      const data = {
        text: '你好\u2028\0\uD83D\uDE00 "quoted" \\ \r\n',
        list: [1, 2.5, -0.1, true, null, {}],
        nested: { a: { b: [] } },
      }
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      await engine.append('a', [
        { type: 'message', data },
        { type: 'file', data: bytes },
        { type: 'nothing', data: null },
      ])
      const events = await readAll(engine, 'a')
      expect(events.map(({ type, data }) => ({ type, data: data instanceof Uint8Array ? Array.from(data) : data }))).toEqual([
        { type: 'message', data },
        { type: 'file', data: Array.from(bytes) },
        { type: 'nothing', data: null },
      ])
      for (const { time } of events) expect(time).toBeGreaterThan(before)
      expect(events.map(({ time }) => time)).toEqual(events.map(({ time }) => time).sort((a, b) => a - b))
    })

    it('keeps concurrent batches contiguous and gives each its own positions', async () => {
      const engine = await open(make)
      const batches = range(0, 49).map((batch) => Array.from({ length: 5 }, () => ({ type: 'message', data: { n: batch } })))
      const answers = await Promise.all(batches.map((batch) => engine.append('a', batch)))
      expect(answers.map(({ position }) => position.offset).sort((a, b) => a - b)).toEqual(range(1, 50).map((n) => n * 5))
      const events = await readAll(engine, 'a')
      answers.forEach(({ position }, batch) => {
        expect(numbers(events.slice(position.offset - 5, position.offset))).toEqual(Array(5).fill(batch))
      })
    })

    it('keeps logs separate, whatever their names', async () => {
      const engine = await open(make)
      const names = ['a', 'A', 'a:b', 'a-b', '__proto__', 'constructor', 'toString', '0']
      await Promise.all(names.map((name, index) => engine.append(name, numbered(index, index))))
      for (const [index, name] of names.entries()) expect(numbers(await readAll(engine, name))).toEqual([index])
    })

    it('appends a batch with a key once, also when it is sent twice at the same time', async () => {
      const engine = await open(make)
      const answers = await Promise.all(range(1, 10).map((n) => engine.append('a', numbered(n, n), { key: 'run-1' })))
      expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
      expect(new Set(answers.map(({ position }) => position.offset))).toEqual(new Set([1]))
      await engine.append('a', numbered(2, 2), { key: 'run-2' })
      const again = await engine.append('a', numbered(3, 3), { key: 'run-1' })
      expect(again).toMatchObject({ duplicate: true, position: { offset: 1 } })
      expect(await readAll(engine, 'a')).toHaveLength(2)
    })

    it('rejects a batch whose fence another writer has closed, and appends nothing', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', numbered(1, 1), { unless: 'end' })
      await engine.append('a', numbered(2, 2), { key: 'end', unless: 'end' })
      const late = { epoch: position.epoch, unless: 'end' }
      expect(await rejectionOf(engine.append('a', numbered(3, 3), late))).toBe('fenced')
      expect(await rejectionOf(engine.append('a', numbered(3, 3), { ...late, key: 'other' }))).toBe('fenced')
      // What was recorded before is unchanged.
      expect(await engine.append('a', numbered(3, 3), { key: 'end', unless: 'end' })).toMatchObject({ duplicate: true })
      expect(await engine.append('a', numbered(3, 3), { key: 'other' })).toMatchObject({ duplicate: false })
      expect(numbers(await readAll(engine, 'a'))).toEqual([1, 2, 3])
    })

    it('accepts one of two concurrent writers that close a fence and continue behind it', async () => {
      const engine = await open(make)
      for (const round of range(1, 20)) {
        const key = `end ${round}`
        const written = range(1, 10).map((n) => engine.append('a', numbered(n, n), { unless: key }).then(() => true, errorCode))
        const ended = engine.append('a', numbered(0, 0), { key })
        const more = range(11, 20).map((n) => engine.append('a', numbered(n, n), { unless: key }).then(() => true, errorCode))
        const { position } = await ended
        const answers = await Promise.all([...written, ...more])
        expect(new Set(answers).isSubsetOf(new Set([true, 'fenced']))).toBe(true)
        const taken = answers.flatMap((answer, index) => (answer === true ? [index + 1] : []))
        const events = numbers(await readAll(engine, 'a')).slice(-taken.length - 1)
        expect(events.at(-1)).toBe(0)
        expect((await engine.inspect('a'))?.head).toEqual(position)
        expect(events.slice(0, -1).toSorted((a, b) => Number(a) - Number(b))).toEqual(taken)
      }
    })

    it('appends behind the expected head, and reports the head if it is another', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', numbered(1, 2), { expect: 0 })
      expect(position.offset).toBe(2)
      await expect(engine.append('a', numbered(9, 9), { expect: 0 })).rejects.toMatchObject({ code: 'head_moved', position })
      await expect(engine.append('a', [], { expect: 3 })).rejects.toMatchObject({ code: 'head_moved', position })
      await expect(engine.append('none', numbered(9, 9), { expect: 1 })).rejects.toMatchObject({ code: 'head_moved' })
      expect(await engine.inspect('none')).toBeUndefined()
      expect((await engine.append('a', numbered(3, 3), { expect: 2, key: 'k' })).position.offset).toBe(3)
      // Sent again, it is the same batch.
      expect(await engine.append('a', numbered(3, 3), { expect: 2, key: 'k' })).toMatchObject({ duplicate: true })
      expect(await rejectionOf(engine.append('a', numbered(9, 9), { expect: 3, epoch: '00000000' }))).toBe('position_foreign')
      expect(await rejectionOf(engine.append('a', numbered(9, 9), { expect: 9, unless: 'k' }))).toBe('fenced')
      expect(numbers(await readAll(engine, 'a'))).toEqual([1, 2, 3])
    })

    it('accepts one of many writers that expect the same head', async () => {
      const engine = await open(make)
      for (const head of range(0, 9)) {
        const answers = await Promise.all(
          range(1, 10).map((n) => rejectionOf(engine.append('a', numbered(n, n), { expect: head }))),
        )
        expect(answers.toSorted()).toEqual([...Array(9).fill('head_moved'), 'resolved'])
      }
      expect(await readAll(engine, 'a')).toHaveLength(10)
    })

    it('gives each of the appends that wait together its own answer, in the order of the calls', async () => {
      const engine = await open(make)
      const { epoch } = (await engine.append('a', numbered(1, 1), { key: 'first' })).position
      const circular: unknown[] = []
      circular.push(circular)
      const waiting: [NewEvent[], AppendOptions, string | number][] = [
        [numbered(2, 2), {}, 2],
        [numbered(3, 4), { epoch, unless: 'end', expect: 2 }, 4],
        [numbered(0, 0), { epoch: '00000000' }, 'position_foreign'],
        [numbered(0, 0), { key: 'first' }, 1],
        [numbered(5, 5), { key: 'end' }, 5],
        [numbered(0, 0), { unless: 'end' }, 'fenced'],
        [[{ type: 'message', data: circular as never }], {}, 'not a MillraceError'],
        [numbered(0, 0), { expect: 4 }, 'head_moved'],
        [[], {}, 5],
        [numbered(6, 6), { keep: 100 }, 6],
        [numbered(0, 0), { key: 'end', expect: 99 }, 5],
        [numbered(7, 8), { expect: 6 }, 8],
        [[], { key: 'empty' }, 8],
        [numbered(9, 9), { unless: 'other' }, 9],
      ]
      // The first one is sent alone, and the others wait for it.
      const before = engine.append('a', [])
      const answers = await Promise.all(
        waiting.map(([events, options]) =>
          engine.append('a', events, options).then(
            ({ position }) => (position.epoch === epoch ? position.offset : position.epoch),
            (error) => errorCode(error).split(':')[0],
          ),
        ),
      )
      expect((await before).position.offset).toBe(1)
      expect(answers).toEqual(waiting.map(([, , expected]) => expected))
      expect(numbers(await readAll(engine, 'a'))).toEqual(range(1, 9))
    })

    it('rejects an append to another epoch of the log, and to a deleted log', async () => {
      const engine = await open(make)
      const { position } = await engine.append('a', numbered(1, 1))
      await engine.append('a', numbered(2, 2), { epoch: position.epoch })
      expect(await rejectionOf(engine.append('a', numbered(3, 3), { epoch: '00000000' }))).toBe('position_foreign')
      await engine.delete('a')
      expect(await rejectionOf(engine.append('a', numbered(3, 3), { epoch: position.epoch }))).toBe('position_foreign')
      expect(await engine.inspect('a')).toBeUndefined()
    })
  })
}
