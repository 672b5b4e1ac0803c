import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MillraceError, readRefusal } from './errors.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const base = 'http://host/mounted/'

describe('an error', () => {
  it('of this client\u2019s own stands in its README, as retryable as it says there', () => {
    const listed = [...readme.matchAll(/^\| `(\w+)` \| (yes|no) \|/gm)].map(([, code, retryable]) => [code, retryable === 'yes'])
    const own = ['unreachable', 'silent', 'bad_answer', 'refused', 'token_failed', 'deadline_exceeded', 'outbox_full', 'closed']
    expect(listed).toEqual(own.map((code) => [code, new MillraceError(code).retryable]))
    for (const code of own) expect(new MillraceError(code).docs).toContain('README')
  })

  it('of the server keeps its code and says where that is explained', async () => {
    const body = { error: { code: 'position_expired', message: 'Gone.', docs: '/docs/errors#position_expired' } }
    expect(await readRefusal(Response.json(body, { status: 410 }), base)).toMatchObject({
      code: 'position_expired',
      message: 'Gone.',
      retryable: false,
      status: 410,
      docs: 'http://host/docs/errors#position_expired',
    })
  })

  it('of a newer server, or of none, is judged by its status', async () => {
    const newer = Response.json({ error: { code: 'too_windy' } }, { status: 503, headers: { 'retry-after': '2' } })
    expect(await readRefusal(newer, base)).toMatchObject({ code: 'too_windy', retryable: true, retryAfterMs: 2000 })
    expect(await readRefusal(new Response('Bad Gateway', { status: 502 }), base)).toMatchObject({
      code: 'unreachable',
      retryable: true,
    })
    expect(await readRefusal(new Response('', { status: 418 }), base)).toMatchObject({ code: 'refused', retryable: false })
  })
})
