import { describe, expect, it } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import { Catalog } from './catalog.ts'
import { createSessionOwners } from './owners.ts'
import { Records } from './records.ts'

function open(engine = memoryEngine()) {
  const records = new Records(engine)
  const catalog = new Catalog(engine, () => {})
  return { engine, records, catalog, owners: createSessionOwners({ store: engine, records, catalog, hasOwners: true }) }
}

describe('the owner of a session', () => {
  it('is known at once on every node, and is never changed', async () => {
    const one = open()
    const two = open(one.engine)
    expect(await two.owners.ownerOf('s')).toBeUndefined()
    await one.records.claim('s', 'ada')
    expect(await two.owners.ownerOf('s')).toBe('ada')
    await expect(two.records.claim('s', 'bob')).rejects.toMatchObject({ code: 'session_not_found' })
    await two.records.claim('s', 'ada')
  })

  it('is null where nobody owns it, and undefined where there is no session', async () => {
    const { engine, catalog, owners } = open()
    await engine.append('s', [])
    await catalog.noteUsed('used')
    expect([await owners.ownerOf('s'), await owners.ownerOf('used'), await owners.ownerOf('missing')]).toEqual([
      null,
      null,
      undefined,
    ])
  })

  it('is another at once where one deletes it and another creates it, on any node', async () => {
    const one = open()
    const two = open(one.engine)
    await one.records.claim('s', 'ada')
    expect(await two.owners.ownerOf('s')).toBe('ada')
    await one.records.delete('s')
    await one.records.claim('s', 'bob')
    expect(await two.owners.ownerOf('s')).toBe('bob')
  })

  it('is one of several who claim it at the same moment', async () => {
    const { engine, owners } = open()
    const names = Array.from({ length: 20 }, (_, n) => `user-${n}`)
    const claims = await Promise.allSettled(names.map((name) => new Records(engine).claim('s', name)))
    const first = claims.findIndex(({ status }) => status === 'fulfilled')
    expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await owners.ownerOf('s')).toBe(`user-${first}`)
  })

  it('is in the list where retention has removed the record first', async () => {
    const { engine, records, catalog } = open()
    await records.claim('s', 'ada')
    await catalog.noteUsed('s', 'ada')
    await catalog.noteUsed('s')
    await engine.delete('record/s')
    expect(await open(engine).owners.ownerOf('s')).toBe('ada')
  })

  it('is kept when a run ends, so that the session is evicted before its record', async () => {
    const engine = memoryEngine({ totalBytesMax: 1500 })
    const { records, owners } = open(engine)
    await records.claim('s', 'ada')
    await engine.append('s', [{ type: 'a', data: 'x'.repeat(200) }])
    await owners.keep('s', true)
    // Evicts the log with the oldest last write.
    for (let count = 0; (await engine.inspect('s')) !== undefined; count++)
      await engine.append(`other-${count}`, [{ type: 'a', data: 'x'.repeat(200) }])
    expect(await engine.inspect('record/s')).toBeDefined()
  })

  it('has an id as users have', async () => {
    const { records } = open()
    for (const wrong of ['', 'x'.repeat(301)])
      await expect(records.claim('s', wrong)).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('has names as any', async () => {
    const { records, owners } = open()
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(await owners.ownerOf(name)).toBeUndefined()
      await records.claim(name, '__proto__')
      expect(await owners.ownerOf(name)).toBe('__proto__')
    }
  })
})

describe('the list of an owner', () => {
  it('has its sessions in the order of their last use, after snapshots and evictions too', async () => {
    const { engine, catalog } = open()
    const owners = ['ada', 'bob', '__proto__', undefined]
    for (let count = 0; count < 600; count++) await catalog.noteUsed(`s${count % 40}`, owners[count % 4])
    const listOf = async (of: string) => {
      // A server that was started later reads the log from its beginning.
      const fresh = new Catalog(engine, () => {})
      await fresh.refresh()
      return fresh.newest(Number.POSITIVE_INFINITY, 100, of).map(([session]) => session)
    }
    const expected = (of: number) =>
      Array.from({ length: 40 }, (_, n) => 39 - n)
        .filter((n) => n % 4 === of)
        .map((n) => `s${n}`)
    for (const of of [0, 1, 2]) expect(await listOf(owners[of] as string)).toEqual(expected(of))
    expect(await listOf('nobody')).toEqual([])
    await catalog.noteDeleted('s0')
    expect(await listOf('ada')).not.toContain('s0')
  })
})
