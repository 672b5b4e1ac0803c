import { SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { createTokens } from './tokens.ts'

const secret = 'a-secret-of-at-least-32-bytes-for-a-test'
const sign = (exp: number) =>
  new SignJWT({ sub: 'ada', exp }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret))

function open() {
  const clock = { now: 1_000_000_000_000 }
  return { clock, tokens: createTokens([{ secret }], { now: () => clock.now }) }
}

describe('a verified token', () => {
  it('is not verified again', async () => {
    const { tokens, clock } = open()
    const token = await sign(clock.now / 1000 + 60)
    expect(await tokens.verify(token)).toBe(await tokens.verify(token))
  })

  it('is remembered only until it expires, and then for the leeway', async () => {
    const { tokens, clock } = open()
    const token = await sign(clock.now / 1000 + 60)
    await tokens.verify(token)
    clock.now += 89_000
    await tokens.verify(token)
    clock.now += 2000
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'token_expired' })
  })

  it('is verified again after ten minutes, by the keys of then', async () => {
    const { tokens, clock } = open()
    const token = await sign(clock.now / 1000 + 3600)
    const first = await tokens.verify(token)
    clock.now += 599_000
    expect(await tokens.verify(token)).toBe(first)
    clock.now += 2000
    expect(await tokens.verify(token)).not.toBe(first)
  })
})
