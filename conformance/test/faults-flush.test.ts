/** SQLite with `durability: 'disk'` on a disk whose flushes fail or are slow. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sqliteEngine } from 'millrace'
import { describe, expect } from 'vitest'
import { numbers, readAll } from '../src/engine/support.ts'
import { makeFolder } from '../src/faults/folder.ts'
import { itWithstands } from '../src/faults/rounds.ts'
import { runTraced, straceMissing } from '../src/faults/strace.ts'
import { addFindings, noteTime, percentile } from '../src/faults/tally.ts'
import { checkHistory } from '../src/history.ts'

const script = fileURLToPath(new URL('../src/faults/flushing-process.ts', import.meta.url))
const missing = straceMissing()

/** Calls that change the disk. */
const cutCalls = ['pwrite64', 'fsync', 'ftruncate', 'unlink']

interface Said {
  readonly n: number
  readonly offset?: number
  readonly ms?: number
  readonly lags?: readonly number[]
  readonly code?: string
  readonly kept?: number
}

const failures = [
  { fault: 'F17 flushing to the disk fails', call: 'fsync', error: 'EIO', callsMax: 40 },
  { fault: 'F21 the disk may not be written to', call: 'pwrite64', error: 'EROFS', callsMax: 80 },
]

/** The outcome of each append, and what is in the file afterwards. */
async function appendAll(inject: readonly string[], folder = makeFolder()) {
  const { output, calls } = await runTraced(['-e', 'trace=fsync,pwrite64,write', ...inject], script, [folder])
  const engine = sqliteEngine({ folder })
  const events = await readAll(engine, 'log')
  const final = { epoch: (await engine.inspect('log'))?.head.epoch ?? '', events }
  await engine.close()
  return { said: output.map((line) => JSON.parse(line) as Said), calls, final }
}

describe.skipIf(missing)(`a disk that is flushed to${missing ? ` (skipped: ${missing})` : ''}`, () => {
  itWithstands({
    fault: 'F16 power loss, by the order of what SQLite asks of the disk',
    claim: 'has flushed every event before it is acknowledged',
    few: 1,
    open: async () => undefined,
    async round(_world, _chance, tally) {
      const { said, calls } = await appendAll([])
      expect(said.map(({ offset }) => offset)).toEqual(said.map(({ n }) => n))
      let flushes = 0
      for (const call of calls) {
        if (/fsync.* = 0$/.test(call)) flushes += 1
        if (!/write\(1, "\{/.test(call)) continue
        expect(flushes).toBeGreaterThan(0)
        flushes = 0
        tally.acknowledged += 1
      }
      expect(tally.acknowledged % said.length).toBe(0)
      expect(tally.acknowledged).toBeGreaterThan(0)
    },
  })

  for (const { fault, call, error, callsMax } of failures)
    itWithstands({
      fault: `${fault}, once, for a while or from then on`,
      claim: 'acknowledges nothing that was not written and flushed, serves what it has, and recovers',
      open: async () => undefined,
      async round(_world, chance, tally) {
        const first = chance.whole(1, callsMax)
        const last = chance.pick([first, first + chance.whole(1, 10), undefined])
        const when = last === undefined ? `${first}+` : `${first}..${last}`
        const folder = makeFolder()
        // Except of the commit marker: if it cannot be written, the append is still valid.
        const files = ['millrace.db', 'millrace.db-wal'].flatMap((name) => ['-P', join(folder, name)])
        const { said, final } = await appendAll([...files, '-e', `inject=${call}:error=${error}:when=${when}`], folder)
        const refused = said.filter(({ offset }) => offset === undefined)
        expect(refused.length).toBeGreaterThan(0)
        for (const { code } of refused) expect(code).toBe('engine_failed')
        if (last !== undefined) expect(said.at(-1)?.offset).toBeDefined()
        // It still serves what it had acknowledged, and nothing of what it rejected.
        let acknowledged = 0
        for (const { n, offset, kept } of said) {
          if (offset !== undefined) acknowledged += 1
          if (kept !== undefined) expect([n, kept]).toEqual([n, acknowledged])
        }
        const { epoch, events } = final
        const values = numbers(events) as number[]
        const attempts = said.map(({ n, offset }) => ({
          value: n,
          outcome: offset === undefined ? ('unknown' as const) : ('acknowledged' as const),
        }))
        const given = events.map(({ offset }, index) => ({ epoch, offset, value: values[index] as number }))
        addFindings(tally, checkHistory({ attempts, readers: [], final: given }))
        tally.acknowledged += acknowledged
        tally.events += events.length
        for (const { n, offset } of said) if (offset !== undefined) expect(values[offset - 1]).toBe(n)
      },
    })

  itWithstands({
    fault: 'F19 flushing to the disk takes 300 ms',
    claim: 'takes longer, loses nothing, and does not block the event loop',
    few: 1,
    open: async () => undefined,
    async round(_world, chance, tally) {
      const when = `${chance.whole(20, 30)}+${chance.whole(5, 9)}`
      const { said, final } = await appendAll(['-e', `inject=fsync:delay_exit=300000:when=${when}`])
      expect(said.map(({ offset }) => offset)).toEqual(said.map(({ n }) => n))
      const slow = said.filter(({ ms = 0 }) => ms >= 300)
      expect(slow.length).toBeGreaterThan(0)
      for (const { ms = 0, lags = [] } of slow) {
        noteTime(tally, 'append', ms)
        noteTime(tally, 'lag', Math.max(0, ...lags))
      }
      // An idle event loop has some sixty in that time; half of the rounds must, because the machine may pause in some.
      const turns = slow.map(({ lags = [] }) => lags.length)
      expect(percentile(turns, 0.5)).toBeGreaterThan(10)
      expect(numbers(final.events)).toEqual(said.map(({ n }) => n))
      tally.acknowledged += said.length
      tally.events += final.events.length
    },
    // The longest pause of each flush. If the engine blocked the loop, every flush would show it, and not only some.
    afterMany: ({ times }) => expect(percentile(times.get('lag') ?? [], 0.5)).toBeLessThan(50),
  })

  const cuts = new Set<string>()
  itWithstands({
    fault: 'F15 kill -9 at a call by which SQLite, or the commit marker beside it, writes, flushes or removes',
    claim: 'leaves every event that was acknowledged, and of the others at most the next one, under the same epoch',
    times: 8,
    async open() {
      const { calls } = await runTraced(['-e', `trace=${cutCalls.join()}`], script, [makeFolder()])
      return calls.flatMap((line) => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? []).filter((call) => cutCalls.includes(call))
    },
    async round(calls, chance, tally) {
      const at = chance.whole(0, calls.length - 1)
      const call = calls[at] as string
      const when = calls.slice(0, at + 1).filter((each) => each === call).length
      cuts.add(`${call} ${when}`)
      const folder = makeFolder()
      const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${when}`]
      const { output, isKilled } = await runTraced(inject, script, [folder])
      expect(isKilled).toBe(true)
      const acknowledged = output.filter((line) => line !== '').map((line) => JSON.parse(line) as Said)
      const reported: string[] = []
      const engine = sqliteEngine({ folder, onLoss: (text) => reported.push(text) })
      const events = (await engine.inspect('log')) === undefined ? [] : await readAll(engine, 'log')
      await engine.close()
      const values = numbers(events) as number[]
      expect({ call, when, reported, values }).toEqual({ call, when, reported: [], values: values.map((_, index) => index + 1) })
      expect(acknowledged.map(({ offset }) => offset)).toEqual(acknowledged.map(({ n }) => n))
      expect([0, 1]).toContain(values.length - acknowledged.length)
      tally.acknowledged += acknowledged.length
      tally.events += events.length
    },
    afterMany: () => expect(cuts.size).toBeGreaterThanOrEqual(200),
  })
})
