/** What a server refuses without having done anything is sent again; what it rejects permanently is not. */
import { expect, it, onTestFinished } from 'vitest'
import { connect } from '../index.ts'

function publishTo(code: string, retryable: boolean) {
  let sent = 0
  const fetch = async () =>
    ++sent === 1
      ? Response.json({ error: { code, message: code, docs: '/docs', retryable } }, { status: 503 })
      : Response.json({ position: '1-1', duplicate: false })
  const client = connect('http://host/', { transport: 'poll', fetch, timings: { backoffFirstMs: 1 } })
  onTestFinished(() => client.close())
  return client.channel('c').publish(1)
}

it.each(['server_stopping', 'server_full'])('a command is sent again after %s', async (code) => {
  expect(await publishTo(code, true)).toMatchObject({ duplicate: false })
})

it('a command is not sent again after another refusal', async () => {
  await expect(publishTo('engine_failed', true)).rejects.toMatchObject({ code: 'engine_failed' })
})

it('a command that is limited is sent again, and not before the server allows it', async () => {
  const sentAt: number[] = []
  const fetch = async () => {
    sentAt.push(performance.now())
    if (sentAt.length > 2) return Response.json({ position: '1-1', duplicate: false })
    const headers: Record<string, string> = sentAt.length === 1 ? { 'retry-after': '1' } : {}
    const error = { code: 'rate_limited', message: 'too many', docs: '/docs', retryable: true, retryAfter: 1 }
    return Response.json({ error }, { status: 429, headers })
  }
  const client = connect('http://host/', { transport: 'poll', fetch, timings: { backoffFirstMs: 1 } })
  onTestFinished(() => client.close())
  expect(await client.channel('c').publish(1)).toMatchObject({ duplicate: false })
  expect(sentAt).toHaveLength(3)
  for (const n of [1, 2]) expect((sentAt[n] as number) - (sentAt[n - 1] as number)).toBeGreaterThan(990)
})
