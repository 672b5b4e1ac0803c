/** Model-based: after any sequence of calls the engine and a plain array agree about every result. */
import fc from 'fast-check'
import type { Engine, NewEvent } from 'millrace'
import { describe, expect, it } from 'vitest'
import { type EngineFactory, numbers, readAll, rejectionOf } from './support.ts'

interface KeptLog {
  readonly numbers: number[]
  readonly keys: Map<string, number>
}

interface Model {
  logs: Map<string, KeptLog>
  next: number
}

interface Real {
  engine: Engine
  epochs: Map<string, string>
}

type EngineCommand = fc.AsyncCommand<Model, Real>

const batch = (model: Model, size: number): NewEvent[] =>
  Array.from({ length: size }, () => ({ type: 'm', data: { n: model.next++ } }))

function append(log: string, size: number, key: string | undefined): EngineCommand {
  return {
    check: () => true,
    async run(model, { engine, epochs }) {
      const kept: KeptLog = model.logs.get(log) ?? { numbers: [], keys: new Map() }
      const events = batch(model, size)
      const answer = await engine.append(log, events, key === undefined ? {} : { key })
      const used = key === undefined ? undefined : kept.keys.get(key)
      expect(answer.duplicate).toBe(used !== undefined)
      if (used === undefined) {
        kept.numbers.push(...events.map((event) => (event.data as { n: number }).n))
        if (key !== undefined) kept.keys.set(key, kept.numbers.length)
      }
      expect(answer.position.offset).toBe(used ?? kept.numbers.length)
      if (model.logs.has(log)) expect(answer.position.epoch).toBe(epochs.get(log))
      else expect(answer.position.epoch).not.toBe(epochs.get(log))
      epochs.set(log, answer.position.epoch)
      model.logs.set(log, kept)
    },
    toString: () => `append(${log}, ${size}, ${key})`,
  }
}

function read(log: string, from: number, eventsMax: number): EngineCommand {
  return {
    check: () => true,
    async run(model, { engine, epochs }) {
      const kept = model.logs.get(log)
      const position = { epoch: epochs.get(log) ?? '00000000', offset: from }
      if (kept === undefined) return expect(await rejectionOf(engine.read(log, position))).toBe('session_not_found')
      if (from > kept.numbers.length) return expect(await rejectionOf(engine.read(log, position))).toBe('position_ahead')
      const page = await engine.read(log, position, { eventsMax })
      expect(numbers(page.events)).toEqual(kept.numbers.slice(from, from + eventsMax))
      expect(page.position.offset).toBe(Math.min(from + eventsMax, kept.numbers.length))
      expect(page.head.offset).toBe(kept.numbers.length)
    },
    toString: () => `read(${log}, ${from}, ${eventsMax})`,
  }
}

function compact(log: string): EngineCommand {
  return {
    check: () => true,
    run: async (_model, { engine }) => await engine.compact?.(log),
    toString: () => `compact(${log})`,
  }
}

function remove(log: string): EngineCommand {
  return {
    check: () => true,
    async run(model, { engine }) {
      expect(await engine.delete(log)).toBe(model.logs.delete(log))
      expect(await engine.inspect(log)).toBeUndefined()
    },
    toString: () => `delete(${log})`,
  }
}

export function commandCases(make: EngineFactory): void {
  describe('any sequence of calls', () => {
    it('agrees with an array', async () => {
      const log = fc.constantFrom('a', 'b')
      const commands = fc.commands<Model, Real, false>(
        [
          fc.tuple(log, fc.nat(8), fc.option(fc.constantFrom('k1', 'k2'), { nil: undefined })).map((args) => append(...args)),
          fc.tuple(log, fc.nat(40), fc.integer({ min: 1, max: 10 })).map((args) => read(...args)),
          log.map(compact),
          log.map(remove),
        ],
        { maxCommands: 60 },
      )
      await fc.assert(
        fc.asyncProperty(commands, async (sequence) => {
          const engine = await make()
          const model: Model = { logs: new Map(), next: 1 }
          try {
            await fc.asyncModelRun(() => ({ model, real: { engine, epochs: new Map() } }), sequence)
            for (const [name, kept] of model.logs) expect(numbers(await readAll(engine, name))).toEqual(kept.numbers)
          } finally {
            await engine.close()
          }
        }),
        { numRuns: 60 },
      )
    }, 60_000)
  })
}
