/** What the status says of events that are missing. */
import { expect, it, onTestFinished } from 'vitest'
import { connect } from './index.ts'

it('counts the events that a gap stands for, and tells of them at once', async () => {
  const at = (offset: number) => `k3f9a2xq-${offset}`
  const events = [
    { id: at(2), event: 'message', data: 'a' },
    { id: at(7), event: 'gap', data: { from: at(2), to: at(7) } },
  ]
  const fetch = async (address: unknown) => {
    const from = (address as URL).searchParams.get('from')
    return Response.json(from === at(1) ? { events, position: at(7) } : { events: [], position: at(7) })
  }
  const client = connect('http://host/', { transport: 'poll', fetch, timings: { pollWaitSeconds: 1 } })
  onTestFinished(() => client.close())
  const lost: number[] = []
  client.connection.subscribe((status) => lost.push(status.lost))
  const types: string[] = []
  for await (const { type } of client.channel('c', { from: at(1) }).events()) {
    types.push(type)
    if (type !== 'gap') continue
    expect(lost).toContain(5)
    break
  }
  expect(types).toEqual(['message', 'gap'])
})
