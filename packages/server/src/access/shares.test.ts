import { describe, expect, it } from 'vitest'
import { createShares, type StoredShare } from './shares.ts'

function open() {
  const clock = { now: 1_000_000_000_000 }
  let kept: readonly StoredShare[] = []
  const revoked: string[] = []
  const shares = createShares({
    store: {
      find: async () => kept,
      async change(_session, change) {
        kept = change(kept)
      },
    },
    onRevoked: async (id) => void revoked.push(id),
    now: () => clock.now,
  })
  return { clock, shares, revoked, kept: () => kept }
}

describe('a share link', () => {
  it('is a principal that reads one session until the link expires', async () => {
    const { shares, clock } = open()
    const { id, token, createdAt, expiresAt } = await shares.create('s', { ttl: 60 })
    const reader = { id: `share:${id}`, kind: 'share', may: ['session.read'], sessions: ['s'], issuedAt: createdAt, expiresAt }
    expect(await shares.verify(token)).toEqual(reader)
    clock.now += 60_000
    await expect(shares.verify(token)).rejects.toMatchObject({ code: 'token_expired' })
    expect(await shares.list('s')).toEqual([])
  })

  it('leaves no secret in what is kept, and what has expired is removed by the next one', async () => {
    const { shares, clock, kept } = open()
    const { token } = await shares.create('s', { ttl: 60 })
    expect(JSON.stringify(kept())).not.toContain(token.split('.')[1])
    clock.now += 60_000
    await shares.create('s')
    expect(kept()).toHaveLength(1)
  })

  it('is revoked once, and others stay', async () => {
    const { shares, revoked } = open()
    const [first, second] = [await shares.create('s'), await shares.create('s')]
    expect([await shares.revoke('s', first.id), await shares.revoke('s', first.id)]).toEqual([true, false])
    expect(revoked).toEqual([first.id])
    await expect(shares.verify(first.token)).rejects.toMatchObject({ code: 'token_rejected' })
    expect(await shares.verify(second.token)).toMatchObject({ kind: 'share' })
  })
})
