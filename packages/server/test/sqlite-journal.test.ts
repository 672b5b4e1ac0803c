/** The journal of the SQLite engine: batches enter it in the order of their commit, and the tables of the logs later. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Engine, NewEvent } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { toBatch } from '../src/engines/sqlite/batch-text.ts'
import { Store } from '../src/engines/sqlite/store.ts'
import { makeFolder } from './support/process.ts'
import { openSqlite } from './support/sqlite.ts'

const numbered = (from: number, to: number): NewEvent[] =>
  Array.from({ length: to - from + 1 }, (_, index) => ({ type: 'n', data: { n: from + index } }))

/** Events that begin alike, as those of a run do. */
const token = (n: number, lane = 'lane'): NewEvent => ({
  type: 'message',
  data: { run: 'XgXj5nXkqk2kqk2kqk2k', lane, text: `${n}` },
})

/** What a log is to its callers. */
async function stateOf(engine: Engine, log: string) {
  const state = await engine.inspect(log)
  if (state === undefined) return undefined
  const { events } = await engine.read(log, state.start, { eventsMax: 10_000, bytesMax: 1e9 })
  return { state, events }
}

const pathIn = (folder: string) => join(folder, 'millrace.db')

/** The same files in their place, as a kill would leave them now. */
async function kill(folder: string, engine: Engine): Promise<void> {
  const files = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const)
  await engine.close()
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes)
}

/** Changes the file beside a running engine, as a disk would that returns something else. The journal is in the file then. */
function change(folder: string, act: (database: DatabaseSync) => void): void {
  const database = new DatabaseSync(pathIn(folder))
  act(database)
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
}

function count(folder: string, what: string): number {
  const database = new DatabaseSync(pathIn(folder), { readOnly: true })
  const { count: found } = database.prepare(`SELECT count(*) AS count FROM ${what}`).get() as { count: number }
  database.close()
  return found
}

/** A folder whose table of events cannot be read. */
async function newDamaged(): Promise<string> {
  const folder = makeFolder()
  const { engine } = openSqlite(folder)
  await engine.append('a', [...numbered(1, 1), { type: 'b', data: Uint8Array.of(1) }])
  await engine.close()
  const database = new DatabaseSync(pathIn(folder))
  const { rootpage } = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'events'").get() as {
    rootpage: number
  }
  database.close()
  const bytes = readFileSync(pathIn(folder))
  bytes.fill(0xee, (rootpage - 1) * 4096, (rootpage - 1) * 4096 + 200)
  writeFileSync(pathIn(folder), bytes)
  return folder
}

describe('the journal of the SQLite engine', () => {
  it('gives a killed server back what its logs were: events, retention, times, keys and fences', async () => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    await engine.append('kept', numbered(1, 3), { key: 'first' })
    for (let n = 4; n <= 20; n++) await engine.append('kept', numbered(n, n), { keep: 5 })
    await engine.append('kept', [], { key: 'empty' })
    await engine.append('packed', numbered(1, 20), { key: 'packed' })
    await engine.compact?.('packed')
    await engine.append('packed', numbered(21, 30))
    await engine.append('file', [...numbered(1, 1), { type: 'b', data: Uint8Array.of(0, 255) }], { key: 'file' })
    await engine.append('file', numbered(2, 2))
    await engine.append('nothing', [])
    await engine.append('deleted', numbered(1, 5))
    await engine.delete('deleted')
    const logs = ['kept', 'packed', 'file', 'nothing', 'deleted']
    const before = await Promise.all(logs.map((log) => stateOf(engine, log)))
    expect(count(folder, 'journal WHERE data IS NOT NULL')).toBeGreaterThan(20)
    await kill(folder, engine)
    const again = openSqlite(folder)
    expect(await Promise.all(logs.map((log) => stateOf(again.engine, log)))).toEqual(before)
    for (const [log, key] of [
      ['kept', 'empty'],
      ['packed', 'packed'],
      ['file', 'file'],
    ] as const) {
      expect(await again.engine.append(log, [], { key })).toMatchObject({ duplicate: true })
      await expect(again.engine.append(log, [], { unless: key })).rejects.toMatchObject({ code: 'fenced' })
    }
    // Its batch was trimmed.
    expect(await again.engine.append('kept', [], { key: 'first' })).toMatchObject({ duplicate: false })
    expect(again.warnings).toEqual([])
  })

  it('moves a log to the tables when it has some hundred events, and all logs when it is closed', async () => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    for (let n = 1; n <= 1500; n += 3) await engine.append('long', numbered(n, n + 2))
    await engine.append('short', numbered(1, 2))
    expect(count(folder, 'packs')).toBe(3)
    expect(count(folder, 'events')).toBe(0)
    await engine.close()
    expect([count(folder, 'packs'), count(folder, 'events'), count(folder, 'journal')]).toEqual([4, 2, 1])
  })

  it('keeps few rows of logs that are in the tables', async () => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    for (let n = 0; n < 20; n++) {
      await Promise.all(Array.from({ length: 100 }, (_, log) => engine.append(`log-${log}`, numbered(1, 60))))
      for (let log = 0; log < 100; log++) await engine.compact?.(`log-${log}`)
    }
    expect(count(folder, 'journal')).toBeLessThan(600)
  })

  it('leaves nothing of a deleted log in any file, and the other logs as they were', async () => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    const secret = (n: number): NewEvent => ({ type: 'm', data: { textOfTheMessage: `${n}-secret-${n}` } })
    for (let n = 0; n < 40; n++) {
      await engine.append('secret', [secret(n)], { key: `secret-key-${n}` })
      await engine.append('other', numbered(n, n))
      // Then its rows in the journal are copies of a pack.
      if (n === 20) await engine.compact?.('secret')
    }
    const before = await stateOf(engine, 'other')
    const has = (text: string) => readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(text))
    expect(has('secret-30')).not.toEqual([])
    expect(has('secret-10')).not.toEqual([])
    await engine.delete('secret')
    expect(has('secret')).toEqual([])
    await kill(folder, engine)
    const again = openSqlite(folder)
    expect(await stateOf(again.engine, 'other')).toEqual(before)
    expect(await again.engine.inspect('secret')).toBeUndefined()
    expect(again.warnings).toEqual([])
  })

  it('gives a killed server back the tokens of its runs, whatever was moved, removed and appended between them', async () => {
    const folder = makeFolder()
    let { engine } = openSqlite(folder)
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 30; n++) {
        await engine.append('one', [token(n), token(n, '😀'), { type: 'usage', data: n }])
        await engine.append('kept', [token(n, '😁'), token(n, '😂')], { keep: 9 })
        await engine.append('file', n === 20 ? [{ type: 'b', data: Uint8Array.of(1) }] : [token(n)])
        if (n === 10) await engine.compact?.('one')
      }
      const logs = ['one', 'kept', 'file']
      const before = await Promise.all(logs.map((log) => stateOf(engine, log)))
      await kill(folder, engine)
      engine = openSqlite(folder).engine
      expect(await Promise.all(logs.map((log) => stateOf(engine, log)))).toEqual(before)
    }
  })

  it.each([
    ['the one that the next ones refer to', 2, 1],
    ['one that refers to it', 5, 9],
  ])('returns no other text where the stored batch is damaged: %s', async (_what, offset, count) => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    // The next ones do not refer to it, but could.
    await engine.append('a', [{ ...token(1), data: { run: 'another run, also 20', lane: 'lane', text: '1' } }])
    for (let n = 2; n <= 10; n++) await engine.append('a', [token(n)])
    change(folder, (database) => {
      const wrong = database.prepare(`UPDATE journal SET data = replace(data, 'Xg', 'xG') || ' ' WHERE "offset" = ?`)
      expect(wrong.run(offset).changes).toBe(1)
    })
    await kill(folder, engine)
    const { engine: next } = openSqlite(folder)
    const { start } = (await next.inspect('a')) ?? expect.fail()
    const found: unknown[] = []
    for (let n = 1; n <= 10; n++) {
      const page = await next.read('a', { ...start, offset: n - 1 }, { eventsMax: 1 }).catch(({ code }) => code)
      if (page === 'log_damaged') continue
      expect(page.events[0]?.data).toMatchObject({ ...(n > 1 && { run: 'XgXj5nXkqk2kqk2kqk2k' }), text: `${n}` })
      found.push(n)
    }
    expect(found).toHaveLength(count)
    expect((await next.append('a', [token(11)])).position.offset).toBe(11)
    await kill(folder, next)
    const { engine: last } = openSqlite(folder)
    expect((await last.read('a', { ...start, offset: 10 })).events).toMatchObject([token(11)])
  })

  it.each([['as it is'], ['after a second start']])('rejects the one log whose batch is damaged, %s', async (when) => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    for (let n = 1; n <= 20; n += 2) for (const log of ['a', 'b']) await engine.append(log, numbered(n, n + 1))
    change(folder, (database) => {
      const { changes } = database
        .prepare(`UPDATE journal SET data = replace(data, '"n":7', '"n":9') WHERE log = 1 AND "offset" = 8`)
        .run()
      expect(changes).toBe(1)
    })
    await kill(folder, engine)
    let next = openSqlite(folder)
    const start = async () => ({ epoch: (await next.engine.inspect('a'))?.head.epoch ?? '', offset: 0 })
    if (when !== 'as it is') {
      await next.engine.compact?.('a')
      await next.engine.close()
      next = openSqlite(folder)
    }
    const damaged = { code: 'log_damaged', message: expect.stringContaining('the log a is damaged') }
    await expect(next.engine.read('a', await start())).rejects.toMatchObject(damaged)
    expect((await next.engine.read('a', await start(), { eventsMax: 6 })).events).toHaveLength(6)
    expect((await next.engine.read('a', { ...(await start()), offset: 8 })).events).toHaveLength(12)
    expect((await stateOf(next.engine, 'b'))?.events).toHaveLength(20)
    expect((await next.engine.append('a', numbered(21, 21))).position.offset).toBe(21)
    expect(await next.engine.delete('a')).toBe(true)
    expect(next.warnings).toEqual([])
  })

  it.each<[string, string, string]>([
    ['the log of a row', 'UPDATE journal SET log = 2 WHERE log = 1 AND "offset" = 20', 'is not what was written'],
    ['a row', 'DELETE FROM journal WHERE log = 1 AND "offset" = 8', 'is missing'],
    ['the last row', 'DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)', 'it has 19 of 20 commits'],
  ])('gives every log a new epoch after the loss of %s', async (_what, statement, why) => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    for (let n = 1; n <= 20; n += 2) for (const log of ['a', 'b']) await engine.append(log, numbered(n, n + 1))
    const before = { a: await stateOf(engine, 'a'), b: await stateOf(engine, 'b') }
    change(folder, (database) => expect(database.prepare(statement).run().changes).toBe(1))
    await kill(folder, engine)
    const next = openSqlite(folder)
    for (const log of ['a', 'b'] as const) {
      const head = before[log]?.state.head ?? expect.fail()
      await expect(next.engine.read(log, head)).rejects.toMatchObject({ code: 'position_foreign' })
      const after = (await next.engine.inspect(log)) ?? expect.fail()
      const page = await next.engine.read(log, after.start).catch(({ code }) => code)
      // What is left is what was written; a log with a hole is rejected.
      if (page !== 'log_damaged') expect(page.events).toEqual(before[log]?.events.slice(0, after.head.offset))
    }
    expect(next.warnings).toEqual([expect.stringContaining(why)])
    await next.engine.append('a', numbered(1, 1))
    await next.engine.close()
    const again = openSqlite(folder)
    await again.engine.inspect('a')
    expect(again.warnings).toEqual([])
  })

  it('serves what it can read around a page of the journal that it cannot', async () => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    for (let n = 1; n <= 60; n++) for (const log of ['a', 'b', 'c']) await engine.append(log, numbered(n, n))
    await engine.append('before', numbered(1, 1))
    let page = 0
    change(folder, (database) => {
      const leaves = database
        .prepare("SELECT pageno FROM dbstat WHERE name = 'journal' AND pagetype = 'leaf' ORDER BY path")
        .all()
      page = leaves[1]?.pageno as number
    })
    await kill(folder, engine)
    const bytes = readFileSync(pathIn(folder))
    bytes.fill(0, (page - 1) * 4096, page * 4096)
    writeFileSync(pathIn(folder), bytes)
    const next = openSqlite(folder)
    expect((await stateOf(next.engine, 'before'))?.events).toHaveLength(1)
    expect(next.warnings).toEqual([expect.stringContaining('a page of its journal is damaged')])
    const { head, start } = (await next.engine.inspect('a')) ?? expect.fail()
    expect(head.offset).toBe(60)
    expect((await next.engine.read('a', start, { eventsMax: 3 })).events.map(({ data }) => data)).toEqual([
      { n: 1 },
      { n: 2 },
      { n: 3 },
    ])
    await next.engine.append('new', numbered(1, 1))
    await next.engine.close()
    const again = openSqlite(folder)
    expect((await stateOf(again.engine, 'new'))?.events).toHaveLength(1)
    expect(again.warnings).toEqual([])
  })

  it('migrates a file of the version before the journal', async () => {
    const folder = makeFolder()
    const { engine } = openSqlite(folder)
    await engine.append('a', numbered(1, 20), { key: 'k' })
    await engine.append('b', numbered(1, 2))
    const before = [await stateOf(engine, 'a'), await stateOf(engine, 'b')]
    await engine.close()
    change(folder, (database) => {
      database.exec(`
        CREATE TABLE groups (count INTEGER NOT NULL) STRICT;
        INSERT INTO groups SELECT max(seq) FROM journal;
        DROP TABLE journal;
        ALTER TABLE packs RENAME TO later_packs;
        CREATE TABLE packs (
          log INTEGER NOT NULL, "offset" INTEGER NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, data BLOB NOT NULL,
          PRIMARY KEY (log, "offset")
        ) STRICT, WITHOUT ROWID;
        INSERT INTO packs SELECT log, "offset", time, size, data FROM later_packs;
        DROP TABLE later_packs`)
    })
    const next = openSqlite(folder)
    expect([await stateOf(next.engine, 'a'), await stateOf(next.engine, 'b')]).toEqual(before)
    expect(await next.engine.append('a', [], { key: 'k' })).toMatchObject({ duplicate: true })
    await next.engine.append('a', numbered(21, 21))
    await next.engine.close()
    const again = openSqlite(folder)
    expect((await stateOf(again.engine, 'a'))?.events).toHaveLength(21)
    expect([...next.warnings, ...again.warnings]).toEqual([])
  })

  it('goes on with the other logs when the tables cannot take one', async () => {
    const folder = await newDamaged()
    const next = openSqlite(folder)
    // So few events become rows of the damaged table, these many a pack.
    await next.engine.append('few', numbered(1, 2))
    await next.engine.append('many', numbered(1, 20))
    await next.engine.close()
    expect(count(folder, 'packs')).toBe(1)
    const again = openSqlite(folder)
    expect((await again.engine.append('few', numbered(3, 3))).position.offset).toBe(3)
    expect((await again.engine.append('new', numbered(1, 1))).position.offset).toBe(1)
    expect(again.warnings).toEqual([])
  })

  it('keeps the journal in memory short when the tables cannot take its oldest log', async () => {
    const folder = await newDamaged()
    const { engine } = openSqlite(folder)
    // So few events become rows of the damaged table, the others packs.
    for (const log of ['few', 'less']) await engine.append(log, numbered(1, 2))
    const large = Array.from({ length: 10 }, () => ({ type: 'n', data: 'x'.repeat(1500) }))
    const append = (n: number) => engine.append(`many-${n % 200}`, large)
    for (let n = 0; n < 1600; n += 200) await Promise.all(Array.from({ length: 200 }, (_, index) => append(n + index)))
    expect(count(folder, 'packs')).toBeGreaterThan(0)
    expect((await stateOf(engine, 'few'))?.events).toHaveLength(2)
  })

  it('writes at most 350 bytes for a token of a thousand answers, each in an append of its own, packing included', () => {
    const io = () => Number(/^wchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
    const limits = { bytesMax: 1e9, ageMsMax: 1e9, totalBytesMax: Number.POSITIVE_INFINITY, isDurableOnDisk: false }
    const folder = makeFolder()
    const store = new Store(pathIn(folder), limits)
    onTestFinished(() => store.close())
    const before = io()
    let tokens = 0
    for (let token = 0; token < 300; token++)
      for (let first = 0; first < 1000; first += 250) {
        const requests = Array.from({ length: 250 }, (_, index) => {
          const log = first + index
          const data = `{"run":"XgXj5nXkqk2kqk2kqk2k${log}","lane":"sim:count","text":"${token} "}`
          const batch = toBatch([{ type: 'message', data }])
          tokens += 1
          const none = { epoch: undefined, key: undefined, expect: undefined, keep: undefined }
          return { op: 'append' as const, log: `session-${log}`, ...none, unless: `end ${log}`, batch, now: Date.now() }
        })
        store.perform(requests)
      }
    expect((io() - before) / tokens).toBeLessThan(350)
  })
})
