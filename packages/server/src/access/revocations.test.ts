import { expect, it, onTestFinished, vi } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import type { Engine } from '../log/log.ts'
import type { Principal } from './caller.ts'
import { Revocations } from './revocations.ts'

const hour = 3_600_000
const log = 'access/revocations'

/** The revocations of two servers, and their clock. */
function open(engine?: Engine) {
  const clock = { now: 1_000_000_000_000 }
  const shared = engine ?? memoryEngine({ now: () => clock.now })
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const create = () => {
    const onRevoked = vi.fn()
    const options = {
      engine: shared,
      lifetimeMs: 24 * hour,
      signal: stop.signal,
      onError: vi.fn(),
      now: () => clock.now,
      onRevoked,
    }
    return Object.assign(new Revocations(options), { onRevoked })
  }
  return { clock, engine: shared, create }
}

const ada = (issuedAt?: number, tokenId?: string): Principal => ({ id: 'ada', kind: 'user', issuedAt, tokenId })

function isValid(revocations: Revocations, principal: Principal): boolean {
  try {
    revocations.requirePrincipal(principal)
    return true
  } catch {
    return false
  }
}

it('applies to what was issued before, and not to what is issued later', async () => {
  const { clock, create } = open()
  const revocations = create()
  await revocations.revoke({ sub: 'ada' })
  expect([clock.now - 1, clock.now, clock.now + 1, undefined].map((at) => isValid(revocations, ada(at)))).toEqual([
    false,
    false,
    true,
    false,
  ])
  expect(revocations.onRevoked).toHaveBeenCalledTimes(1)
})

it('of a token does not apply to a key with the same id', async () => {
  const revocations = open().create()
  await revocations.revoke({ tokenId: 'admin' })
  expect(isValid(revocations, { id: 'key:admin', kind: 'server', tokenId: 'admin' })).toBe(true)
  expect(isValid(revocations, ada(undefined, 'admin'))).toBe(false)
})

it('is known to a server that starts later, and to the others by their notification', async () => {
  const { create } = open()
  const [one, two] = [create(), create()]
  await two.load()
  await one.revoke({ sub: 'ada' })
  await expect.poll(() => isValid(two, ada())).toBe(false)
  expect(two.onRevoked).toHaveBeenCalledTimes(1)
  const three = create()
  await three.load()
  expect(isValid(three, ada())).toBe(false)
})

it('is written again before retention removes it, and forgotten when no token of that time lives', async () => {
  const { clock, engine, create } = open()
  const one = create()
  for (const tokenId of ['a', 'b', 'c']) await one.revoke({ tokenId })
  await one.rewrite()
  expect((await engine.inspect(log))?.head.offset).toBe(3)
  clock.now += 2 * hour
  await Promise.all([one.rewrite(), create().rewrite()])
  expect((await engine.inspect(log))?.head.offset).toBe(4)
  const later = create()
  await later.load()
  expect(isValid(later, ada(undefined, 'a'))).toBe(false)
  clock.now += 23 * hour
  await later.rewrite()
  expect(isValid(later, ada(undefined, 'a'))).toBe(true)
})

it('has room, and stays in the log, however many share links users revoke', async () => {
  const { clock, engine, create } = open()
  const [one, two] = [create(), create()]
  await one.revoke({ sub: 'ada' })
  await two.load()
  for (let n = 0; n < 60_000; n++) await one.revokeShare(`${n}`)
  await one.revoke({ sub: 'bob' })
  const later = create()
  await later.load()
  for (const each of [one, two, later]) {
    expect((await each.list()).map(({ name }) => name).sort()).toEqual(['ada', 'bob'])
    expect(isValid(each, { id: 'share:59999', kind: 'share' })).toBe(false)
  }
  const { start, head } = (await engine.inspect(log)) as { start: { offset: number }; head: { offset: number } }
  expect(head.offset - start.offset).toBeLessThan(2100)
  // By then its session no longer has it: nothing is opened with it any more.
  clock.now += hour
  expect(isValid(one, { id: 'share:59999', kind: 'share' })).toBe(true)
})

it('outlives the log on a server that knows it', async () => {
  const { engine, create } = open()
  const [one, two] = [create(), create()]
  await two.load()
  await one.revoke({ sub: 'ada' })
  await engine.delete(log)
  await one.revoke({ tokenId: 'a' })
  const three = create()
  await three.load()
  for (const each of [one, two, three])
    await expect.poll(() => [isValid(each, ada()), isValid(each, ada(9e15, 'a'))]).toEqual([false, false])
  const { head } = (await engine.inspect(log)) as { head: { offset: number } }
  // Nobody writes what is there already, again and again.
  await one.rewrite()
  expect((await engine.inspect(log))?.head.offset).toBe(head.offset)
})
