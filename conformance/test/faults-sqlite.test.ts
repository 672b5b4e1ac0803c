/** SQLite whose writer is killed at any moment, or whose file is damaged: what was acknowledged is there, or an error reports it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Engine, type LogEvent, sqliteEngine } from 'millrace'
import { expect, onTestFinished } from 'vitest'
import { makeFolder } from '../src/faults/folder.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { addFindings } from '../src/faults/tally.ts'
import { type Attempt, checkHistory } from '../src/history.ts'

const script = fileURLToPath(new URL('../src/faults/appending-process.ts', import.meta.url))

async function readAll(engine: Engine, log: string): Promise<{ epoch: string; events: LogEvent[] }> {
  const state = await engine.inspect(log)
  const events: LogEvent[] = []
  if (state === undefined) return { epoch: '', events }
  for (let position = state.start; position.offset < state.head.offset; ) {
    const page = await engine.read(log, position)
    if (page.events.length === 0) throw new Error('a page without an event, before the head')
    events.push(...page.events)
    position = page.position
  }
  return { epoch: state.head.epoch, events }
}

/** Appended, the engine makes a checkpoint in another thread. */
const bytesToCheckpoint = 16 * 1024 * 1024

const numberOf = ({ data }: LogEvent): number => (data as { n: number }).n

itWithstands({
  fault: 'F15 kill -9 of a process that appends to SQLite as fast as it can',
  claim: 'leaves every batch that was acknowledged, in order, and of the others all or nothing',
  few: 4,
  times: 4,
  open: async () => ({ folder: makeFolder(), rounds: 0 }),
  async round(world, chance, tally) {
    // In the file of the round before, up to the limit of retention.
    if (world.rounds++ % 5 === 0) rmSync(join(world.folder), { recursive: true, force: true })
    const { folder } = world
    const batch = chance.pick([1, 1, 7, 50])
    // Some are killed in the middle of a checkpoint.
    const padding = chance.pick([0, 0, 0, 0, 20_000])
    const before = sqliteEngine({ folder, bytesMax: 1e9 })
    const had = (await before.inspect('log'))?.head.offset ?? 0
    await before.close()
    const args = [
      '--conditions=millrace-source',
      '--disable-warning=ExperimentalWarning',
      script,
      folder,
      String(batch),
      String(padding),
    ]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text
    })
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    const lastSaid = () => Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1))
    while (padding > 0 && child.exitCode === null && (lastSaid() - had) * padding < bytesToCheckpoint)
      await once(child.stdout, 'data')
    await sleep(chance.real() * (padding > 0 ? 100 : 40))
    child.kill('SIGKILL')
    await once(child, 'close')
    const acknowledged = lastSaid()
    const engine = sqliteEngine({ folder, bytesMax: 1e9 })
    const { epoch, events } = await readAll(engine, 'log')
    await engine.close()
    const written = Math.max(events.length, acknowledged)
    const attempts = Array.from({ length: written }, (_, index): Attempt => {
      const value = index + 1
      return { value, outcome: value <= acknowledged ? 'acknowledged' : 'unknown' }
    })
    const final = events.map((event) => ({ epoch, offset: event.offset, value: numberOf(event) }))
    addFindings(tally, checkHistory({ attempts, readers: [], final }))
    tally.acknowledged += acknowledged - had
    tally.events += events.length
    expect(events.map(numberOf)).toEqual(events.map((_, index) => index + 1))
    expect((events.length - had) % batch).toBe(0)
  },
})

const logs = 12
/** Most of them packed, the next in the journal, and of these the last only in the write-ahead log. */
const each = 270
const filed = 230
const checkpointed = 250
const names = Array.from({ length: logs }, (_, index) => `log-${index}`)

/** Twelve logs as a kill leaves them. */
async function makeLogs() {
  const folder = makeFolder()
  const first = sqliteEngine({ folder })
  const append = (engine: Engine, from: number, count: number) =>
    Promise.all(
      names.map((name, log) =>
        engine.append(
          name,
          Array.from({ length: count }, (_, index) => ({ type: 'n', data: dataOf(log, from + index) })),
        ),
      ),
    )
  // A batch with bytes is stored in rows: half of the logs have packs.
  const dataOf = (log: number, n: number) => (log % 2 === 0 && n === 1 ? Uint8Array.of(n) : { n, some: 'x'.repeat(40) })
  await append(first, 1, filed)
  await first.close()
  const second = sqliteEngine({ folder })
  await append(second, filed + 1, checkpointed - filed)
  const beside = new DatabaseSync(join(folder, 'millrace.db'))
  beside.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  beside.close()
  await append(second, checkpointed + 1, each - checkpointed)
  const written = new Map<string, { epoch: string; events: LogEvent[] }>()
  for (const name of names) written.set(name, await readAll(second, name))
  const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))
  await second.close()
  const database = new DatabaseSync(join(folder, 'millrace.db'))
  const leaves = database.prepare("SELECT pageno FROM dbstat WHERE name IN ('events', 'packs') AND pagetype = 'leaf'").all()
  database.close()
  return { folder, written, files, leaves: new Set(leaves.map(({ pageno }) => pageno)) }
}

itWithstands({
  fault: 'F20 a page of the SQLite file is overwritten, or a bit of it or of its write-ahead log is another',
  claim: 'serves what was written, and rejects the rest with a code or under a new epoch, in the damaged logs only',
  few: 10,
  times: 8,
  open: makeLogs,
  async round({ folder, written, files, leaves }, chance, tally) {
    // In place: a newer file would be taken for a copy.
    for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes)
    const name = chance.pick(['millrace.db', 'millrace.db', 'millrace.db-wal'])
    const bytes = Buffer.from(files.get(name) as Buffer)
    const kind = chance.pick(name === 'millrace.db' ? (['bit', 'bit', 'bit', 'page', 'zeros'] as const) : (['bit'] as const))
    const at = chance.whole(0, bytes.length - 1)
    const bit = 1 << chance.whole(0, 7)
    const page = at - (at % 4096)
    if (kind === 'bit') bytes.writeUInt8(bytes.readUInt8(at) ^ bit, at)
    else bytes.set(kind === 'zeros' ? Buffer.alloc(4096) : Array.from({ length: 4096 }, () => chance.whole(0, 255)), page)
    writeFileSync(join(folder, name), bytes)
    const reported: string[] = []
    const engine = sqliteEngine({ folder, onLoss: (text) => reported.push(text) })
    // All in one tick, each from where a reader may have started.
    const reads = await Promise.allSettled(
      names.map((log) => engine.read(log, { epoch: written.get(log)?.epoch as string, offset: 0 }, { eventsMax: each })),
    )
    const refused = new Set<string>()
    const codes = reads.map((read) => read.status === 'rejected' && (read.reason as { code: string }).code)
    // Either the file is not opened at all, or each damaged log is rejected.
    const damaged = codes.every((code) => code === 'engine_failed') ? 'engine_failed' : 'log_damaged'
    for (const [index, read] of reads.entries()) {
      const expected = written.get(names[index] as string)
      const what = { name, kind, at, bit, log: names[index], reported }
      if (read.status === 'fulfilled') {
        expect({ ...what, events: read.value.events }).toEqual({ ...what, events: expected?.events })
        tally.events += read.value.events.length
        continue
      }
      const code = codes[index]
      refused.add(names[index] as string)
      const isReported = reported.length > 0
      expect({ ...what, code }).toEqual({ ...what, code: isReported ? expect.stringMatching(rejected) : damaged })
    }
    await engine.close()
    // A page of events belongs to a few logs, a page of packs to every log with a pack.
    const isInLeaf = name === 'millrace.db' && leaves.has(page / 4096 + 1)
    if (kind === 'bit' && isInLeaf) expect(refused.size).toBeLessThanOrEqual(logs / 2)
    tally.acknowledged += logs * each
  },
})

/** Rejected as damaged, or no longer the log that the reader had started. */
const rejected = /^(engine_failed|log_damaged|position_foreign|session_not_found)$/
