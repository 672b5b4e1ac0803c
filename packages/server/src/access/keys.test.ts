import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Engine } from '../log/log.ts'
import { StoredApiKeys } from './keys.ts'

const hourMs = 60 * 60_000

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** The keys as one server knows them. */
function open(engine: Engine): StoredApiKeys {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  return new StoredApiKeys({ engine, signal: stop.signal, onError: () => expect.unreachable() })
}

describe('API keys', () => {
  it('are written again before retention removes them', async () => {
    const engine = memoryEngine({ ageMsMax: 2 * hourMs })
    const { id, key } = await open(engine).create({ name: 'shop' })
    await vi.advanceTimersByTimeAsync(10 * hourMs)
    expect(await open(engine).verify(key)).toMatchObject({ id: `key:${id}` })
  })

  it('are known for five seconds at most where the notification of a change is lost', async () => {
    const engine = memoryEngine()
    const here = open({ ...engine, watch: () => () => {} })
    const there = open(engine)
    const { id, key } = await there.create({ name: 'shop' })
    await here.verify(key)
    await there.revoke(id)
    await vi.advanceTimersByTimeAsync(5001)
    await expect(here.verify(key)).rejects.toMatchObject({ code: 'token_rejected' })
  })
})
