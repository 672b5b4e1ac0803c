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
