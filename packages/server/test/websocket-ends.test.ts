/** Why the server closes a WebSocket, in codes that say whether to reconnect. */
import { type Engine, MillraceError, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { gatedModel } from './support/gated-model.ts'
import { startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

describe('the end', () => {
  it('of a server has a code that says to reconnect, after the ends of its runs', async () => {
    const model = gatedModel()
    const { url, millrace } = await startServer({ models: [model], model: 'gated' })
    const socket = await openSocket(url)
    socket.send({ query: 'x' })
    model.say('last words')
    await socket.next()
    await millrace.close()
    expect(await socket.next()).toMatchObject({ status: 'interrupted' })
    expect(await socket.closed).toEqual([1012, 'The server stops; connect again.'])
  })

  it('of a session has a code of its own', async () => {
    const { url, millrace, errors } = await startServer()
    await millrace.engine.append('s', [])
    const socket = await openSocket(url)
    socket.send({ type: 'attach', session: 's' })
    await socket.next()
    await millrace.engine.append('s', [])
    await millrace.engine.delete('s')
    expect((await socket.closed)[0]).toBe(4404)
    // It is not an error.
    expect(errors).toEqual([])
  })

  it.each([
    [
      'by an internal error has a code that says to reconnect, unlike a session that is deleted',
      'internal',
      1013,
      'cannot be read now; connect again',
    ],
    ['that is damaged as one to ask for first, for it would be refused again', 'log_damaged', 4404, 'is damaged'],
  ] as const)('of reading a log %s', async (_, refusal, code, words) => {
    let isAway = false
    const memory = memoryEngine()
    const read: Engine['read'] = async (...request) => {
      if (isAway) throw new MillraceError(refusal)
      return memory.read(...request)
    }
    const { url, millrace } = await startServer({ engine: { ...memory, peek: () => undefined, read } })
    await millrace.engine.append('s', [])
    const socket = await openSocket(url)
    socket.send({ type: 'attach', session: 's' })
    await socket.next()
    isAway = true
    await millrace.run({ session: 's', source: ['x'] })
    expect(await socket.closed).toEqual([code, `The log of s ${words}.`])
  })
})
