/** What only an engine on a disk promises: its logs survive the process, and it reports what it cannot keep. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { inflateSync } from 'node:zlib'
import { createMillrace, type Engine, MillraceError, sqliteEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { makeFolder } from './support/process.ts'

async function numbers(engine: Engine, log = 'a'): Promise<{ epoch: string; all: number[] }> {
  const { head } = (await engine.inspect(log)) ?? expect.fail('The log is gone.')
  const all: number[] = []
  for (let offset = 0; offset < head.offset; ) {
    const { events, position } = await engine.read(log, { ...head, offset }, { eventsMax: 4096 })
    all.push(...events.map(({ data }) => (data as { n: number }).n))
    offset = position.offset
  }
  return { epoch: head.epoch, all }
}

describe('the SQLite engine', () => {
  it('keeps logs, positions and keys across a restart', async () => {
    const folder = makeFolder()
    const first = sqliteEngine({ folder })
    const { position } = await first.append('a', [{ type: 'n', data: { n: 1 } }], { key: 'k' })
    await first.append('bytes', [{ type: 'b', data: Uint8Array.of(0, 255) }])
    await first.close()
    const second = sqliteEngine({ folder })
    onTestFinished(() => second.close())
    expect(await second.append('a', [{ type: 'n', data: { n: 1 } }], { key: 'k' })).toEqual({ position, duplicate: true })
    expect(await numbers(second)).toEqual({ epoch: position.epoch, all: [1] })
    const { head } = (await second.inspect('bytes')) ?? expect.fail()
    expect((await second.read('bytes', { ...head, offset: 0 })).events[0]?.data).toEqual(Uint8Array.of(0, 255))
  })

  it('keeps the process alive until its calls are answered, and no longer', async () => {
    const script = fileURLToPath(new URL('./support/append-once.ts', import.meta.url))
    const folder = makeFolder()
    const child = spawn(process.execPath, [
      '--conditions=millrace-source',
      '--disable-warning=ExperimentalWarning',
      script,
      folder,
    ])
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    expect(await once(child, 'close')).toEqual([0, null])
    expect(output).toBe('appended\n')
  })

  it('has every acknowledged event after repeated kills of its process', async () => {
    const folder = makeFolder()
    const script = fileURLToPath(new URL('./support/appending.ts', import.meta.url))
    let epoch: string | undefined
    for (let round = 0; round < 6; round++) {
      const child = spawn(process.execPath, [
        '--conditions=millrace-source',
        '--disable-warning=ExperimentalWarning',
        script,
        folder,
      ])
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output += text
      })
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, 20 + round * 17))
      child.kill('SIGKILL')
      await once(child, 'close')
      const acknowledged = output
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(line.split(' ')[1]))
      const engine = sqliteEngine({ folder })
      const kept = await numbers(engine)
      await engine.close()
      epoch ??= kept.epoch
      expect(kept.epoch).toBe(epoch)
      expect(kept.all.length).toBeGreaterThanOrEqual(Math.max(...acknowledged))
      // Batches are whole: each number once, three at a time.
      expect([...kept.all].sort((a, b) => a - b)).toEqual([...new Set(kept.all)].sort((a, b) => a - b))
      expect(kept.all.length % 3).toBe(0)
    }
  }, 60_000)

  it('rejects calls while the disk does not respond, and continues when it does', async () => {
    // Starting its thread takes longer.
    const engine = sqliteEngine({ folder: makeFolder(), timeoutMs: 5 })
    onTestFinished(() => engine.close())
    const notified = Promise.withResolvers<void>()
    engine.watch('a', notified.resolve)
    const append = () => engine.append('a', [{ type: 'n', data: { n: 1 } }], { key: 'k' })
    const late = { code: 'engine_failed', message: expect.stringContaining('has not responded for 5 ms') }
    await expect(append()).rejects.toMatchObject(late)
    // No request queues behind it.
    await expect(append()).rejects.toMatchObject(late)
    await notified.promise
    await expect.poll(() => append()).toMatchObject({ position: { offset: 1 }, duplicate: true })
  })

  it('closes although its disk does not respond', async () => {
    const engine = sqliteEngine({ folder: makeFolder(), timeoutMs: 5 })
    const inspected = engine.inspect('a')
    await engine.close()
    await expect(inspected).rejects.toMatchObject({ code: 'engine_failed' })
  })

  it('rejects a folder that another server uses, and names it', async () => {
    const folder = makeFolder()
    const [first, second] = [sqliteEngine({ folder }), sqliteEngine({ folder })]
    onTestFinished(async () => void (await Promise.all([first.close(), second.close()])))
    await first.append('a', [])
    await expect(second.append('a', [])).rejects.toMatchObject({
      code: 'engine_failed',
      message: expect.stringContaining(folder),
    })
    await first.close()
    expect(await second.inspect('a')).toBeDefined()
  })

  it('rejects a file that is not a database, and its message says what to do', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'millrace.db'), 'not a database, but somebody’s file '.repeat(100))
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    await expect(engine.append('a', [])).rejects.toMatchObject({ message: expect.stringMatching(/damaged.*Move all millrace/) })
  })

  it('reads from the file what is no longer cached', async () => {
    const engine = sqliteEngine({ folder: makeFolder() })
    onTestFinished(() => engine.close())
    for (let n = 0; n < 30; n++)
      await engine.append(
        'a',
        Array.from({ length: 100 }, (_, index) => ({ type: 'n', data: { n: n * 100 + index + 1 } })),
      )
    expect((await numbers(engine)).all).toEqual(Array.from({ length: 3000 }, (_, index) => index + 1))
  })

  // What happened: 84 pictures went into one pack, which delayed all appends and was unpacked for each of its pages.
  it('packs at most about a page of events, and no files', async () => {
    const folder = makeFolder()
    const engine = sqliteEngine({ folder })
    const file = { type: 'file', data: randomBytes(100_000) }
    const words = Array.from({ length: 200 }, () => ({ type: 'm', data: 'y'.repeat(3000) }))
    for (let n = 0; n < 10; n++) await engine.append('a', [...words, file])
    await engine.compact?.('a')
    await engine.close()
    const database = new DatabaseSync(join(folder, 'millrace.db'))
    const packs = database.prepare('SELECT data FROM packs').all() as { data: Uint8Array }[]
    const left = database.prepare('SELECT data FROM events').all() as { data: unknown }[]
    database.close()
    expect(packs.length).toBeGreaterThan(20)
    for (const { data } of packs) expect(inflateSync(data).length).toBeLessThan(300 * 1024)
    expect(left.filter(({ data }) => data instanceof Uint8Array)).toHaveLength(10)
  })

  it('packs an ended answer into few rows, and reads it word for word', async () => {
    const folder = makeFolder()
    const sqlite = sqliteEngine({ folder })
    const compacted = Promise.withResolvers<void>()
    const compact = (log: string) => Promise.resolve(sqlite.compact?.(log)).finally(compacted.resolve)
    const millrace = createMillrace({ engine: { ...sqlite, compact }, model: 'sim:count' })
    const run = await millrace.ask({ query: 'x', models: ['sim:count?n=2000&tps=0'] })
    await compacted.promise
    await millrace.close()
    const database = new DatabaseSync(join(folder, 'millrace.db'))
    const log = database.prepare('SELECT id, bytes FROM logs WHERE name = ?').get(run.session)
    const rows = database.prepare('SELECT count(*) AS events FROM events WHERE log = ?').get(log?.id as number)
    const kept = database.prepare('SELECT count(*) AS packs, sum(size) AS bytes FROM packs').get()
    database.close()
    // A few may be left over between packs.
    expect(rows?.events).toBeLessThan(20)
    expect(kept?.packs).toBeLessThan(10)
    expect(log?.bytes).toBeLessThan(22_000)
    expect(kept?.bytes).toBeLessThan(20_000)
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    const { head } = (await engine.inspect(run.session)) ?? expect.fail('The log is gone.')
    const { events } = await engine.read(run.session, { ...head, offset: 0 }, { eventsMax: 4096 })
    const output = events.filter(({ type }) => type === 'message').map(({ data }) => (data as { text: string }).text)
    expect(output.join('')).toBe(Array.from({ length: 2000 }, (_, index) => `${index + 1} `).join(''))
  })

  it.each([['the same server'], ['the next one']])(
    'packs an answer when %s opens its session, after packing failed at its end',
    async (whose) => {
      const folder = makeFolder()
      const sqlite = sqliteEngine({ folder })
      const failed = Promise.withResolvers<void>()
      let attempts = 0
      const compact = async (log: string) => {
        if (attempts++ > 0) return sqlite.compact?.(log)
        failed.resolve()
        throw new MillraceError('log_full')
      }
      const first = createMillrace({ engine: { ...sqlite, compact }, onError: () => {} })
      onTestFinished(() => first.close())
      const run = await first.ask({ query: 'x', models: ['sim:count?n=200&tps=0'] })
      await Promise.all([failed.promise, run.ended])
      if (whose === 'the next one') await first.close()
      const next = whose === 'the next one' ? createMillrace({ engine: sqliteEngine({ folder }) }) : first
      onTestFinished(() => next.close())
      await next.readSession(run.session)
      await next.engine.inspect(run.session)
      await next.close()
      const database = new DatabaseSync(join(folder, 'millrace.db'))
      onTestFinished(() => database.close())
      const { id } = database.prepare('SELECT id FROM logs WHERE name = ?').get(run.session) as { id: number }
      expect(database.prepare('SELECT count(*) AS events FROM events WHERE log = ?').get(id)).toEqual({ events: 0 })
    },
  )

  it.each([
    ['a byte of a pack', "UPDATE packs SET data = CAST(substr(data, 1, 40) || x'00' || substr(data, 42) AS BLOB)"],
    ['an event', `UPDATE events SET data = '{"n":' WHERE "offset" = 101`],
    ['the end of a log', "UPDATE logs SET head = 50 WHERE name = 'a'"],
    ['the packs of a log', 'DELETE FROM packs'],
  ])('rejects reads after damage to %s, and reads the other logs', async (_what, change) => {
    const folder = makeFolder()
    const first = sqliteEngine({ folder })
    const { position } = await first.append(
      'a',
      Array.from({ length: 100 }, (_, n) => ({ type: 'n', data: { n } })),
    )
    await first.compact?.('a')
    await first.append('a', [{ type: 'n', data: { n: 101 } }])
    await first.append('b', [{ type: 'n', data: { n: 1 } }])
    await first.close()
    const database = new DatabaseSync(join(folder, 'millrace.db'))
    expect(database.prepare(change).run().changes).toBe(1)
    database.close()
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    const [a, b] = await Promise.allSettled([engine.read('a', { ...position, offset: 0 }), numbers(engine, 'b')])
    expect(a).toMatchObject({ reason: { code: 'log_damaged', message: expect.stringContaining('the log a is damaged') } })
    expect(b).toMatchObject({ value: { all: [1] } })
  })

  it('neither delivers nor packs an event with a flipped bit', async () => {
    const folder = makeFolder()
    const first = sqliteEngine({ folder })
    const { position } = await first.append('a', [
      { type: 'text', data: 'hello' },
      ...Array.from({ length: 20 }, (_, n) => ({ type: 'n', data: { n } })),
      // A batch with bytes is stored in rows.
      { type: 'bytes', data: Uint8Array.of(1) },
    ])
    await first.append('b', [{ type: 'n', data: { n: 1 } }])
    await first.close()
    const file = join(folder, 'millrace.db')
    const bytes = readFileSync(file)
    bytes.write('i', bytes.indexOf('"hello"') + 1)
    writeFileSync(file, bytes)
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    const damaged = { code: 'log_damaged', message: expect.stringContaining('the log a is damaged') }
    await expect(engine.compact?.('a')).rejects.toMatchObject(damaged)
    await expect(engine.read('a', { ...position, offset: 0 })).rejects.toMatchObject(damaged)
    // The events after it are undamaged.
    expect((await engine.read('a', { ...position, offset: 1 })).events).toHaveLength(21)
    expect((await numbers(engine, 'b')).all).toEqual([1])
    expect(await engine.delete('a')).toBe(true)
  })

  // What happened: after a row with a damaged key SQLite found no later row of the log, and reported no error.
  it('does not end a log early when the key of an event is damaged', async () => {
    const folder = makeFolder()
    const first = sqliteEngine({ folder })
    await first.append('first', [{ type: 'n', data: {} }])
    // A batch with bytes is stored in rows.
    const { position } = await first.append('a', [
      ...Array.from({ length: 19 }, (_, n) => ({ type: 'n', data: { n } })),
      { type: 'bytes', data: Uint8Array.of(1) },
    ])
    await first.close()
    const file = join(folder, 'millrace.db')
    const bytes = readFileSync(file)
    // The columns before the data: the log (2), the offset (11), the type, the time in six bytes, the size.
    const key = bytes.indexOf('{"n":10}') - 10
    expect([bytes[key], bytes[key + 1], bytes.toString('latin1', key + 2, key + 3)]).toEqual([2, 11, 'n'])
    bytes[key] = 3
    writeFileSync(file, bytes)
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    const damaged = { code: 'log_damaged', message: expect.stringContaining('the log a is damaged: an event is missing') }
    await expect(engine.read('a', { ...position, offset: 0 })).rejects.toMatchObject(damaged)
    expect((await engine.read('a', { ...position, offset: 0 }, { eventsMax: 10 })).events).toHaveLength(10)
    expect((await numbers(engine, 'first')).all).toHaveLength(1)
  })

  it('reports the file, not a log, when damage prevents an append', async () => {
    const folder = makeFolder()
    const first = sqliteEngine({ folder })
    await first.append('a', [{ type: 'n', data: {} }])
    await first.close()
    const file = join(folder, 'millrace.db')
    const database = new DatabaseSync(file)
    const { rootpage } = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'keys'").get() as { rootpage: number }
    database.close()
    const bytes = readFileSync(file)
    bytes.fill(0xee, (rootpage - 1) * 4096, (rootpage - 1) * 4096 + 200)
    writeFileSync(file, bytes)
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    const rejection = { code: 'engine_failed', message: expect.stringMatching(/millrace\.db.* is damaged .*Move all millrace/) }
    await expect(engine.append('a', [{ type: 'n', data: {} }], { key: 'k' })).rejects.toMatchObject(rejection)
    expect((await numbers(engine, 'a')).all).toHaveLength(1)
  })

  it('performs the other requests of a group in which a damaged log is read', async () => {
    const folder = makeFolder()
    const first = sqliteEngine({ folder })
    const { position } = await first.append(
      'a',
      Array.from({ length: 300 }, () => ({ type: 'text', data: 'x'.repeat(100) })),
    )
    for (const log of ['b', 'c']) await first.append(log, [{ type: 'n', data: { n: 1 } }])
    await first.close()
    const file = join(folder, 'millrace.db')
    const database = new DatabaseSync(file)
    const page = database.prepare("SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' LIMIT 1 OFFSET 2").get()
    database.close()
    const bytes = readFileSync(file)
    bytes.fill(0, ((page?.pageno as number) - 1) * 4096, (page?.pageno as number) * 4096)
    writeFileSync(file, bytes)
    const engine = sqliteEngine({ folder })
    onTestFinished(() => engine.close())
    const [a, b, c, read] = await Promise.allSettled([
      engine.read('a', { ...position, offset: 0 }),
      engine.append('b', [{ type: 'n', data: { n: 2 } }], { key: 'k' }),
      engine.append('c', [{ type: 'n', data: { n: 2 } }]),
      numbers(engine, 'b'),
    ])
    expect(a).toMatchObject({ reason: { code: 'log_damaged', message: expect.stringContaining('the log a is damaged') } })
    expect([b, c]).toMatchObject([
      { value: { position: { offset: 2 }, duplicate: false } },
      { value: { position: { offset: 2 } } },
    ])
    expect(read).toMatchObject({ value: { all: [1, 2] } })
  })

  it('returns space to the disk when logs are deleted', async () => {
    const folder = makeFolder()
    const file = join(folder, 'millrace.db')
    const first = sqliteEngine({ folder })
    await first.append(
      'a',
      Array.from({ length: 1000 }, () => ({ type: 'text', data: 'x'.repeat(1000) })),
    )
    await first.close()
    expect(statSync(file).size).toBeGreaterThan(1_000_000)
    const second = sqliteEngine({ folder, ageMsMax: 40 })
    await expect.poll(() => second.inspect('a')).toBeUndefined()
    await second.close()
    expect(statSync(file).size).toBeLessThan(200_000)
  })
})
