import { describe, expect, it } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import { decorate } from './decorate.ts'
import type { Engine } from './log.ts'

/** Every member of Engine by name: the compiler rejects this table when one is added or removed. */
const members: Record<keyof Engine, 'method' | 'value'> = {
  isDurable: 'value',
  isShared: 'value',
  wantsPacing: 'value',
  broadcast: 'value',
  counters: 'value',
  append: 'method',
  read: 'method',
  peek: 'method',
  inspect: 'method',
  list: 'method',
  watch: 'method',
  compact: 'method',
  delete: 'method',
  close: 'method',
}
const names = Object.keys(members) as (keyof Engine)[]

/** Records which of its methods was called, with what, and on which object. */
function recorder() {
  const calls: unknown[] = []
  const engine: Record<string, unknown> = {}
  for (const name of names)
    engine[name] =
      members[name] === 'value'
        ? `${name} of the engine`
        : function (this: unknown, ...args: unknown[]) {
            calls.push([name, args, this === engine])
            return `${name} of the engine`
          }
  return { engine: engine as unknown as Engine, calls }
}

const member = (engine: Engine, name: keyof Engine) => engine[name] as unknown
const call = (engine: Engine, name: keyof Engine, ...args: unknown[]) =>
  (engine[name] as unknown as (...args: unknown[]) => unknown)(...args)

describe('decorate', () => {
  it.each(names.filter((name) => members[name] === 'method'))('passes %s through with its arguments and its this', (name) => {
    const { engine, calls } = recorder()
    expect(call(decorate(engine, {}), name, 'one', { two: 2 })).toBe(`${name} of the engine`)
    expect(calls).toEqual([[name, ['one', { two: 2 }], true]])
  })

  it.each(names.filter((name) => members[name] === 'value'))('passes %s through', (name) => {
    expect(member(decorate(recorder().engine, {}), name)).toBe(`${name} of the engine`)
  })

  it.each(names)('replaces %s and nothing else', (name) => {
    const { engine } = recorder()
    const decorated = decorate(engine, { [name]: 'replaced' })
    for (const each of names) expect(member(decorated, each) === 'replaced').toBe(each === name)
  })

  it('has no peek where only read is replaced, and returns no event past the replacement', () => {
    const read: Engine['read'] = () => Promise.reject(new Error('replaced'))
    expect('peek' in decorate(memoryEngine(), { read })).toBe(false)
    expect('peek' in decorate(memoryEngine(), { read, peek: () => undefined })).toBe(true)
  })

  it('passes a member through that it does not know', () => {
    const engine = Object.assign(memoryEngine(), { later: () => 'later' })
    expect((decorate(engine, {}) as typeof engine).later()).toBe('later')
  })

  it.each(['compact', 'isShared'] as const)('has no %s where neither the engine nor the overrides have it', (name) => {
    const decorated = decorate(memoryEngine(), {})
    expect([member(decorated, name), name in decorated]).toEqual([undefined, false])
    expect(name in decorate(memoryEngine(), { [name]: undefined })).toBe(true)
  })

  it('keeps the methods of an engine that is a class, which calls its own', async () => {
    class Counting {
      readonly #inner = memoryEngine()
      readonly append: Engine['append'] = (...request) => this.#inner.append(...request)
      inspect(log: string) {
        return this.#inner.inspect(log)
      }
      async has(log: string) {
        return (await this.inspect(log)) !== undefined
      }
    }
    const engine = new Counting()
    const decorated = decorate(engine as unknown as Engine, { inspect: async () => undefined }) as unknown as Counting
    await decorated.append('a', [])
    expect(await decorated.inspect('a')).toBeUndefined()
    expect(await decorated.has('a')).toBe(true)
  })

  it('decorates a frozen engine, and is spread like any other', () => {
    const read: Engine['read'] = () => Promise.reject(new Error('replaced'))
    const decorated = decorate(Object.freeze(memoryEngine()), { read })
    expect({ ...decorated }.read).toBe(read)
    expect({ ...decorated }.append).toBe(decorated.append)
  })

  it('can be decorated again, and the outer override is called first', async () => {
    const order: string[] = []
    const traced = (name: string, engine: Engine) =>
      decorate(engine, {
        inspect(log) {
          order.push(name)
          return engine.inspect(log)
        },
      })
    const outer = traced('outer', traced('inner', memoryEngine()))
    await outer.inspect('a')
    expect(order).toEqual(['outer', 'inner'])
  })
})
