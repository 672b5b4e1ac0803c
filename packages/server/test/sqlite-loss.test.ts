/** A file that has less than was acknowledged: its logs get new epochs, and the operator gets a warning. */
import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Position } from '@millrace/protocol'
import type { Engine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { makeFolder } from './support/process.ts'
import { openSqlite } from './support/sqlite.ts'

type Files = ReadonlyMap<string, Buffer>

const readFiles = (folder: string): Files => new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))

/** Overwritten in place, so that the times of their creation stay. */
function writeFiles(folder: string, files: Files): void {
  for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name))
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes)
}

async function append(engine: Engine, log: string, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await engine.append(log, [{ type: 'n', data: { n } }])
}

/** A folder as a kill leaves it: `a` has forty events and `b` one. `earlier` is a copy with the first ten of `a`. */
async function makeKilled(durability: 'process' | 'disk' = 'process') {
  const folder = makeFolder()
  const first = openSqlite(folder, { durability })
  await append(first.engine, 'a', 10)
  await first.engine.close()
  const earlier = readFiles(folder)
  const second = openSqlite(folder, { durability })
  await append(second.engine, 'b', 1)
  await append(second.engine, 'a', 30)
  const { head } = (await second.engine.inspect('a')) ?? expect.fail()
  const killed = readFiles(folder)
  await second.engine.close()
  expect([...first.warnings, ...second.warnings]).toEqual([])
  writeFiles(folder, killed)
  return { folder, earlier, head }
}

const file = (folder: string) => join(folder, 'millrace.db')
const wal = (folder: string) => `${file(folder)}-wal`
const marker = (folder: string) => join(folder, 'millrace.marker')

function flip(path: string, part: number): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length * part)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
}

/** The marker looks as if the machine had been restarted since. */
function restart(folder: string): void {
  const text = readFileSync(marker(folder), 'utf8')
  const [boot = ''] = /(?<="boot":")[^"]+/.exec(text) ?? []
  writeFileSync(marker(folder), text.replace(boot, '7'.repeat(boot.length)))
}

describe('the SQLite engine after a loss', () => {
  it('keeps every log after a kill, without a warning', async () => {
    const { folder, head } = await makeKilled()
    const { engine, warnings } = openSqlite(folder)
    expect((await engine.inspect('a'))?.head).toEqual(head)
    expect(warnings).toEqual([])
  })

  it.each<[string, (folder: string, earlier: Files) => void, string]>([
    ['a flipped bit in its write-ahead log', (folder) => flip(wal(folder), 0.5), 'of 41 commits'],
    ['a shorter write-ahead log', (folder) => truncateSync(wal(folder), 60_000), 'of 41 commits'],
    ['the loss of its write-ahead log', (folder) => rmSync(wal(folder)), 'of 41 commits'],
    [
      'an earlier copy of the database alone',
      (folder, earlier) => {
        rmSync(wal(folder))
        writeFileSync(file(folder), earlier.get('millrace.db') as Buffer)
      },
      'it has 10 of 41 commits',
    ],
    [
      'an earlier copy of the whole folder',
      (folder, earlier) => {
        for (const name of readdirSync(folder)) rmSync(join(folder, name))
        writeFiles(folder, earlier)
      },
      'it is a copy',
    ],
    ['the loss of its commit marker', (folder) => rmSync(marker(folder)), 'millrace.marker is missing'],
    ['a restart of the machine', restart, 'the machine stopped'],
  ])('gives every log a new epoch after %s, once, and warns with the reason', async (_what, lose, why) => {
    const { folder, earlier, head } = await makeKilled()
    lose(folder, earlier)
    const { engine, warnings } = openSqlite(folder)
    const { head: left } = (await engine.inspect('a')) ?? expect.fail()
    expect(left.epoch).not.toBe(head.epoch)
    expect(warnings).toEqual([expect.stringContaining(why)])
    // The log has grown past the reader's position, which must not get the new events.
    await append(engine, 'a', 50)
    await expect(engine.read('a', head)).rejects.toMatchObject({ code: 'position_foreign' })
    await engine.close()
    const again = openSqlite(folder)
    expect((await again.engine.inspect('a'))?.head).toEqual({ epoch: left.epoch, offset: left.offset + 50 })
    expect(again.warnings).toEqual([])
  })

  it('keeps every log after a restart of the machine when each group was flushed, or all were at the close', async () => {
    const flushed = await makeKilled('disk')
    restart(flushed.folder)
    const { engine, warnings } = openSqlite(flushed.folder, { durability: 'disk' })
    expect((await engine.inspect('a'))?.head).toEqual(flushed.head)
    await engine.close()
    restart(flushed.folder)
    // From here on only the close flushes.
    const second = openSqlite(flushed.folder)
    await append(second.engine, 'a', 1)
    await second.engine.close()
    restart(flushed.folder)
    const third = openSqlite(flushed.folder)
    expect((await third.engine.inspect('a'))?.head).toEqual({ ...flushed.head, offset: flushed.head.offset + 1 })
    expect([...warnings, ...second.warnings, ...third.warnings]).toEqual([])
  })

  it('keeps its count of commits when the log of the last append is deleted', async () => {
    const { folder, head } = await makeKilled()
    const { engine } = openSqlite(folder)
    await append(engine, 'b', 1)
    expect(await engine.delete('b')).toBe(true)
    const killed = readFiles(folder)
    await engine.close()
    writeFiles(folder, killed)
    const again = openSqlite(folder)
    expect((await again.engine.inspect('a'))?.head).toEqual(head)
    expect(again.warnings).toEqual([])
  })

  it.each<[string, (folder: string) => void]>([
    ['is empty', (folder) => truncateSync(file(folder))],
    ['is missing', (folder) => rmSync(file(folder))],
    [
      'is empty and its write-ahead log missing',
      (folder) => {
        truncateSync(file(folder))
        rmSync(wal(folder))
      },
    ],
    [
      'is missing with its commit marker',
      (folder) => {
        rmSync(file(folder))
        rmSync(marker(folder))
      },
    ],
  ])(
    'rejects appends and changes no file when its file %s, and starts empty when the files are moved away',
    async (_what, lose) => {
      const { folder } = await makeKilled()
      lose(folder)
      const left = readFiles(folder)
      const { engine } = openSqlite(folder)
      const rejection = { code: 'engine_failed', message: expect.stringMatching(/damaged.*Move all millrace/) }
      await expect(engine.append('a', [])).rejects.toMatchObject(rejection)
      expect(readFiles(folder)).toEqual(left)
      for (const name of left.keys()) renameSync(join(folder, name), join(makeFolder(), name))
      expect((await engine.append('a', [{ type: 'n', data: {} }])).position.offset).toBe(1)
    },
  )

  it.each([
    ['the index of the names', 'sqlite_autoindex_logs_1', /^$/, ['fulfilled', 'fulfilled']],
    ['the row with the name', 'logs', /^1 logs in .* cannot be found by name/, ['rejected', 'fulfilled']],
  ])(
    'finds every log that it can, and warns of one that it cannot, after a flipped bit in %s',
    async (_what, table, warning, found) => {
      const folder = makeFolder()
      const first = openSqlite(folder)
      const positions = await Promise.all(
        ['first-log', 'second-log'].map(async (log) => (await first.engine.append(log, [])).position),
      )
      await first.engine.close()
      const database = new DatabaseSync(file(folder))
      const { pageno } = database.prepare('SELECT pageno FROM dbstat WHERE name = ?').get(table) as { pageno: number }
      database.close()
      const bytes = readFileSync(file(folder))
      bytes.write('g', bytes.indexOf('first-log', (pageno - 1) * 4096))
      writeFileSync(file(folder), bytes)
      const { engine, warnings } = openSqlite(folder)
      const [one, other] = positions
      const reads = await Promise.allSettled([
        engine.read('first-log', one as Position),
        engine.read('second-log', other as Position),
      ])
      expect(reads.map(({ status }) => status)).toEqual(found)
      expect(warnings.join()).toMatch(warning)
    },
  )

  it('migrates the file of a version without sums and commit marker', async () => {
    const folder = makeFolder()
    const database = new DatabaseSync(file(folder))
    database.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE logs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL,
        start INTEGER NOT NULL, head INTEGER NOT NULL, bytes INTEGER NOT NULL, touched INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE events (
        log INTEGER NOT NULL, "offset" INTEGER NOT NULL, type TEXT NOT NULL, time INTEGER NOT NULL, size INTEGER NOT NULL, data ANY,
        PRIMARY KEY (log, "offset")
      ) STRICT, WITHOUT ROWID;
      INSERT INTO logs VALUES (1, 'a', 'old', 0, 1, 109, ${Date.now()});
      INSERT INTO events VALUES (1, 1, 'n', ${Date.now()}, 109, '{"n":1}')`)
    database.close()
    const first = openSqlite(folder)
    await first.engine.append('a', [{ type: 'n', data: { n: 2 } }])
    await first.engine.close()
    const { engine, warnings } = openSqlite(folder)
    const { events } = await engine.read('a', { epoch: 'old', offset: 0 })
    expect(events.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }])
    expect([...first.warnings, ...warnings]).toEqual([])
  })
})
