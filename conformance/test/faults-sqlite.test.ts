/** SQLite whose writer is killed at any moment, or whose file is damaged: what was acknowledged is there, or somebody is told. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
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

const numberOf = ({ data }: LogEvent): number => (data as { n: number }).n

itWithstands({
  fault: 'F15 kill -9 of a process that appends to SQLite as fast as it can',
  claim: 'leaves every batch that was acknowledged, in order, and of others all or nothing',
  few: 4,
  times: 4,
  open: async () => ({ folder: makeFolder(), rounds: 0 }),
  async round(world, chance, tally) {
    // Over what the last one left, but not until retention lets the first ones go.
    if (world.rounds++ % 5 === 0) rmSync(join(world.folder), { recursive: true, force: true })
    const { folder } = world
    const batch = chance.pick([1, 1, 7, 50])
    const before = sqliteEngine({ folder })
    const had = (await before.inspect('log'))?.head.offset ?? 0
    await before.close()
    const args = ['--conditions=source', '--disable-warning=ExperimentalWarning', script, folder, String(batch)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text
    })
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    await sleep(chance.real() * 40)
    child.kill('SIGKILL')
    await once(child, 'close')
    const acknowledged = Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1))
    const engine = sqliteEngine({ folder })
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
const each = 150

itWithstands({
  fault: 'F20 a page of the SQLite file is overwritten',
  claim: 'gives what is whole and refuses the rest with a code, and never an event that was not appended',
  few: 10,
  times: 4,
  open: async () => undefined,
  async round(_world, chance, tally) {
    const folder = makeFolder()
    const engine = sqliteEngine({ folder })
    const names = Array.from({ length: logs }, (_, index) => `log-${index}`)
    const events = Array.from({ length: each }, (_, index) => ({ type: 'n', data: { n: index + 1, some: 'x'.repeat(40) } }))
    await Promise.all(names.map((name) => engine.append(name, events)))
    await engine.close()
    const file = join(folder, 'millrace.db')
    const page = chance.whole(0, statSync(file).size / 4096 - 1)
    const garbage = Buffer.from(Array.from({ length: 4096 }, () => chance.whole(0, 255)))
    const handle = openSync(file, 'r+')
    writeSync(handle, chance.whole(0, 1) === 0 ? garbage : Buffer.alloc(4096), 0, 4096, page * 4096)
    closeSync(handle)
    const after = sqliteEngine({ folder })
    for (const name of names) {
      const read = await readAll(after, name).catch((error: { code?: string }) => error)
      if (!('events' in read)) {
        expect(read.code).toBe('engine_failed')
      } else if (read.events.length === each) expect(read.events.map(numberOf)).toEqual(events.map(({ data }) => data.n))
      else expect({ page, name, events: read.events.length }).toBe('refused')
    }
    await after.close()
    rmSync(folder, { recursive: true })
    tally.acknowledged += logs * each
  },
})
