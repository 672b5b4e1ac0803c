/** A file that has less than was acknowledged: its logs do not go on as if nothing had been, and its operator is told. */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Position } from '@millrace/protocol'
import { type Engine, type SqliteEngineOptions, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'

type Files = ReadonlyMap<string, Buffer>

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-loss-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function open(folder: string, options: Partial<SqliteEngineOptions> = {}): { engine: Engine; told: string[] } {
  const told: string[] = []
  const engine = sqliteEngine({ folder, onLoss: (text) => told.push(text), ...options })
  onTestFinished(() => engine.close())
  return { engine, told }
}

const readFiles = (folder: string): Files => new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))

/** In their places, so that none is younger than it was. */
function writeFiles(folder: string, files: Files): void {
  for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name))
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes)
}

async function append(engine: Engine, log: string, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) await engine.append(log, [{ type: 'n', data: { n } }])
}

/** A folder as a kill leaves it, `a` with forty events and `b` with one, of which the first ten were there in `earlier`. */
async function makeKilled(durability: 'process' | 'disk' = 'process') {
  const folder = newFolder()
  const first = open(folder, { durability })
  await append(first.engine, 'a', 10)
  await first.engine.close()
  const earlier = readFiles(folder)
  const second = open(folder, { durability })
  await append(second.engine, 'b', 1)
  await append(second.engine, 'a', 30)
  const { head } = (await second.engine.inspect('a')) ?? expect.fail()
  const killed = readFiles(folder)
  await second.engine.close()
  expect([...first.told, ...second.told]).toEqual([])
  writeFiles(folder, killed)
  return { folder, earlier, head }
}

const file = (folder: string) => join(folder, 'millrace.db')
const wal = (folder: string) => `${file(folder)}-wal`
const witness = (folder: string) => join(folder, 'millrace.marker')

function flip(path: string, part: number): void {
  const bytes = readFileSync(path)
  const at = Math.floor(bytes.length * part)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
}

/** As if the machine had been started again since. */
function restart(folder: string): void {
  const text = readFileSync(witness(folder), 'utf8')
  const [boot = ''] = /(?<="boot":")[^"]+/.exec(text) ?? []
  writeFileSync(witness(folder), text.replace(boot, '7'.repeat(boot.length)))
}

describe('the SQLite engine over less than it had', () => {
  it('goes on without a word after a kill', async () => {
    const { folder, head } = await makeKilled()
    const { engine, told } = open(folder)
    expect((await engine.inspect('a'))?.head).toEqual(head)
    expect(told).toEqual([])
  })

  it.each<[string, (folder: string, earlier: Files) => void, string]>([
    ['a flipped bit in its write-ahead log', (folder) => flip(wal(folder), 0.5), 'of 41 groups'],
    ['a write-ahead log that is shorter', (folder) => truncateSync(wal(folder), 60_000), 'of 41 groups'],
    ['no write-ahead log any more', (folder) => rmSync(wal(folder)), 'of 41 groups'],
    [
      'an earlier copy of the database alone',
      (folder, earlier) => {
        rmSync(wal(folder))
        writeFileSync(file(folder), earlier.get('millrace.db') as Buffer)
      },
      'of 41 groups of events it has 10',
    ],
    [
      'an earlier copy of the whole folder',
      (folder, earlier) => {
        for (const name of readdirSync(folder)) rmSync(join(folder, name))
        writeFiles(folder, earlier)
      },
      'it is a copy',
    ],
    ['nothing beside it that says how far it had come', (folder) => rmSync(witness(folder)), 'millrace.marker is gone'],
    ['a machine that ended', restart, 'the machine ended'],
  ])('gives every log a new epoch after %s, once, and says why', async (_what, lose, why) => {
    const { folder, earlier, head } = await makeKilled()
    lose(folder, earlier)
    const { engine, told } = open(folder)
    const { head: left } = (await engine.inspect('a')) ?? expect.fail()
    expect(left.epoch).not.toBe(head.epoch)
    expect(told).toEqual([expect.stringContaining(why)])
    // Grown past where a reader had been: it is not given the later events for those that it missed.
    await append(engine, 'a', 50)
    await expect(engine.read('a', head)).rejects.toMatchObject({ code: 'position_foreign' })
    await engine.close()
    const again = open(folder)
    expect((await again.engine.inspect('a'))?.head).toEqual({ epoch: left.epoch, offset: left.offset + 50 })
    expect(again.told).toEqual([])
  })

  it('goes on after the end of the machine where each group was flushed, or all of them at its close', async () => {
    const flushed = await makeKilled('disk')
    restart(flushed.folder)
    const { engine, told } = open(flushed.folder, { durability: 'disk' })
    expect((await engine.inspect('a'))?.head).toEqual(flushed.head)
    await engine.close()
    restart(flushed.folder)
    // From here on nothing is flushed but by its close.
    const second = open(flushed.folder)
    await append(second.engine, 'a', 1)
    await second.engine.close()
    restart(flushed.folder)
    const third = open(flushed.folder)
    expect((await third.engine.inspect('a'))?.head).toEqual({ ...flushed.head, offset: flushed.head.offset + 1 })
    expect([...told, ...second.told, ...third.told]).toEqual([])
  })

  it('keeps its count when the log that was written last is deleted', async () => {
    const { folder, head } = await makeKilled()
    const { engine } = open(folder)
    await append(engine, 'b', 1)
    expect(await engine.delete('b')).toBe(true)
    const killed = readFiles(folder)
    await engine.close()
    writeFiles(folder, killed)
    const again = open(folder)
    expect((await again.engine.inspect('a'))?.head).toEqual(head)
    expect(again.told).toEqual([])
  })

  it.each<[string, (folder: string) => void]>([
    ['is empty', (folder) => truncateSync(file(folder))],
    ['is gone', (folder) => rmSync(file(folder))],
    [
      'is empty, and its write-ahead log gone',
      (folder) => {
        truncateSync(file(folder))
        rmSync(wal(folder))
      },
    ],
    [
      'is gone, and what said how far it had come',
      (folder) => {
        rmSync(file(folder))
        rmSync(witness(folder))
      },
    ],
  ])('refuses to begin where its file %s, leaves what there is, and begins anew when that is moved away', async (_what, lose) => {
    const { folder } = await makeKilled()
    lose(folder)
    const left = readFiles(folder)
    const { engine } = open(folder)
    const refusal = { code: 'engine_failed', message: expect.stringMatching(/damaged.*Move it away, and what stands beside it/) }
    await expect(engine.append('a', [])).rejects.toMatchObject(refusal)
    expect(readFiles(folder)).toEqual(left)
    for (const name of left.keys()) renameSync(join(folder, name), join(newFolder(), name))
    expect((await engine.append('a', [{ type: 'n', data: {} }])).position.offset).toBe(1)
  })

  it.each([
    ['the index of the names', 'sqlite_autoindex_logs_1', /^$/, ['fulfilled', 'fulfilled']],
    ['the row that has the name', 'logs', /^Of the logs in .*, 1 cannot be found by name any more/, ['rejected', 'fulfilled']],
  ])(
    'finds every log that is there, and says so of one that is not, after a flipped bit in %s',
    async (_what, table, said, found) => {
      const folder = newFolder()
      const first = open(folder)
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
      const { engine, told } = open(folder)
      const [one, other] = positions
      const reads = await Promise.allSettled([
        engine.read('first-log', one as Position),
        engine.read('second-log', other as Position),
      ])
      expect(reads.map(({ status }) => status)).toEqual(found)
      expect(told.join()).toMatch(said)
    },
  )

  it('takes over the file of a version that had neither sums nor a witness', async () => {
    const folder = newFolder()
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
    const first = open(folder)
    await first.engine.append('a', [{ type: 'n', data: { n: 2 } }])
    await first.engine.close()
    const { engine, told } = open(folder)
    const { events } = await engine.read('a', { epoch: 'old', offset: 0 })
    expect(events.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }])
    expect([...first.told, ...told]).toEqual([])
  })
})
