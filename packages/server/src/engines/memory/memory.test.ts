import { describe, expect, it } from 'vitest'
import { memoryEngine } from './index.ts'

const one = [{ type: 'm', data: 1 }]

describe('the memory engine, beyond what every engine promises', () => {
  it('evicts the log with the oldest last append, and none that has a reader', async () => {
    let time = 0
    const engine = memoryEngine({ logsMax: 3, now: () => ++time })
    for (const name of ['a', 'b', 'c', 'a']) await engine.append(name, one)
    engine.watch('b', () => {})
    await engine.append('d', one)
    const kept = await Promise.all(['a', 'b', 'c', 'd'].map(async (name) => (await engine.inspect(name)) !== undefined))
    expect(kept).toEqual([true, true, false, true])
    for (const name of ['a', 'd']) engine.watch(name, () => {})
    await expect(engine.append('e', one)).rejects.toMatchObject({ code: 'log_full' })
    await engine.close()
  })

  it('evicts logs that never had an event first, the oldest before newer ones', async () => {
    const engine = memoryEngine({ logsMax: 4 })
    await engine.append('a', one)
    for (const name of ['b', 'c']) await engine.append(name, [])
    await engine.append('d', one)
    const kept = async () => {
      const states = await Promise.all(['a', 'b', 'c', 'd'].map((name) => engine.inspect(name)))
      return ['a', 'b', 'c', 'd'].filter((_, index) => states[index] !== undefined).join('')
    }
    await engine.append('e', one)
    expect(await kept()).toBe('acd')
    for (let n = 0; n < 100; n++) await engine.append(`empty ${n}`, [])
    expect(await kept()).toBe('ad')
    await engine.append('empty 99', one)
    await engine.append('f', one)
    expect(await kept()).toBe('d')
    await engine.close()
  })

  it('bounds all logs together, whichever log grows', async () => {
    let time = 0
    const engine = memoryEngine({ totalBytesMax: 10_000, now: () => ++time })
    const some = [{ type: 'm', data: 'x'.repeat(1000) }]
    for (const name of ['a', 'b', 'c']) for (let n = 0; n < 3; n++) await engine.append(name, some)
    engine.watch('b', () => {})
    for (let n = 0; n < 5; n++) await engine.append('d', some)
    const kept = await Promise.all(['a', 'b', 'c', 'd'].map(async (name) => (await engine.inspect(name)) !== undefined))
    expect(kept).toEqual([false, true, false, true])
    await engine.close()
  })

  it('evicts nothing for a batch that would not fit anyway', async () => {
    const engine = memoryEngine({ totalBytesMax: 10_000 })
    const thousands = (count: number) => Array.from({ length: count }, () => ({ type: 'm', data: 'x'.repeat(900) }))
    engine.watch('read', () => {})
    await engine.append('read', thousands(5))
    await engine.append('unread', thousands(2))
    await expect(engine.append('read', thousands(5))).rejects.toMatchObject({ code: 'log_full' })
    expect(await engine.inspect('unread')).toBeDefined()
    await engine.append('read', thousands(3))
    expect(await engine.inspect('unread')).toBeUndefined()
    await engine.close()
  })

  it('trims a log at its own bound for a new event, also when no other log can be evicted', async () => {
    const engine = memoryEngine({ bytesMax: 4500, totalBytesMax: 5000 })
    engine.watch('a', () => {})
    for (let n = 0; n < 20; n++) await engine.append('a', [{ type: 'm', data: 'x'.repeat(900) }])
    expect(await engine.inspect('a')).toMatchObject({ start: { offset: 16 }, head: { offset: 20 } })
    await engine.close()
  })

  it('counts the memory that an event takes beside its data', async () => {
    const engine = memoryEngine({ bytesMax: 10_000 })
    const many = Array.from({ length: 1000 }, () => ({ type: 'm', data: 1 }))
    await engine.append('a', many)
    const state = await engine.inspect('a')
    const kept = 1000 - (state?.start.offset ?? 0)
    expect(kept).toBeGreaterThan(50)
    expect(kept).toBeLessThanOrEqual(100)
    await engine.close()
  })

  it('never decreases times within a log, whatever the clock does', async () => {
    const clock = [1000, 1000, 5000, 200, 6000]
    const engine = memoryEngine({ now: () => clock.shift() ?? 6000 })
    const { position } = await engine.append('a', one)
    await engine.append('a', one)
    await engine.append('a', one)
    const { events } = await engine.read('a', { epoch: position.epoch, offset: 0 })
    const times = events.map(({ time }) => time)
    expect(times).toEqual([...times].sort((a, b) => a - b))
    await engine.close()
  })
})
