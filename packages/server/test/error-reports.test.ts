/** Internal errors are reported to the host in full, and to clients without details. */
import { type Engine, MillraceError, memoryEngine } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'
import { openStream } from './support/stream.ts'

const inside = new MillraceError('engine_failed', { message: 'The disk under /srv/secret fails.' })
const table = new MillraceError('engine_failed').message

function failing(error: unknown, isHit: (types: readonly string[]) => boolean = () => true): Engine {
  const engine = memoryEngine()
  return {
    ...engine,
    async append(log, events, options) {
      if (isHit(events.map(({ type }) => type))) throw error
      return engine.append(log, events, options)
    },
  }
}

describe('the message of an engine that fails', () => {
  it('is not in the response to a request, but is reported to the host', async () => {
    const { url, errors } = await startServer({ engine: failing(inside) })
    const answer = await postJson(`${url}/api/publish`, { channel: 'c', data: 1 })
    expect([answer.status, await answer.json()]).toEqual([500, inside.toBody()])
    expect(inside.toBody().error.message).toBe(table)
    expect(errors).toEqual([inside])
  })

  it('is not in a response over a WebSocket, but is reported to the host', async () => {
    const { url, errors } = await startServer({ engine: failing(inside) })
    const socket = await openSocket(url)
    socket.send({ type: 'publish', channel: 'c', data: 1 })
    expect(await socket.next()).toMatchObject({ error: { code: 'engine_failed', message: table } })
    expect(errors).toEqual([inside])
  })

  it('is not in the end of a run that waited for the engine, but is reported to the host', async () => {
    const engine = failing(inside, (types) => types.includes('message'))
    const { url, errors } = await startServer({ engine, limits: { runMsMax: 200 } })
    await using stream = await openStream(`${url}/api/chat?query=x`)
    const end = (await stream.until('stream_end')).at(-1)
    expect(JSON.parse(end?.data ?? '{}')).toMatchObject({ status: 'failed', error: { code: 'engine_failed', message: table } })
    // When the wait began, and when it ended.
    expect(errors).toEqual([inside, inside])
  })

  it.each(['start', 'now'])('is reported to the host once while a reader from %s waits for it', async (from) => {
    const engine = memoryEngine()
    let isBroken = false
    const refused = Promise.withResolvers<void>()
    let refusals = 0
    const read: Engine['read'] = async (...request) => {
      if (!isBroken) return engine.read(...request)
      if (++refusals === 3) refused.resolve()
      throw inside
    }
    const { url, errors, millrace } = await startServer({ engine: { ...engine, peek: () => undefined, read } })
    await millrace.publish({ channel: 'c', data: 1 })
    isBroken = from === 'start'
    await using stream = await openStream(`${url}/api/stream?channel=c&from=${from}`)
    if (from === 'now') {
      await millrace.publish({ channel: 'c', data: 2 })
      await stream.next()
      isBroken = true
      await millrace.publish({ channel: 'c', data: 3 })
    }
    await refused.promise
    isBroken = false
    expect((await stream.next())?.data).toBe(from === 'start' ? '1' : '3')
    expect(errors).toEqual([inside])
  })

  it('is reported to the host on a full disk, and is unchanged for a caller in the process', async () => {
    const full = new MillraceError('log_full')
    const { url, errors, millrace } = await startServer({ engine: failing(full) })
    expect((await postJson(`${url}/api/publish`, { channel: 'c', data: 1 })).status).toBe(507)
    expect(errors).toEqual([full])
    await expect(millrace.publish({ channel: 'c', data: 1 })).rejects.toBe(full)
  })
})

it('does not report the errors of clients to the host', async () => {
  const { url, errors } = await startServer()
  expect((await fetch(`${url}/api/sessions/none`)).status).toBe(404)
  expect((await postJson(`${url}/api/publish`, { channel: '', data: 1 })).status).toBe(400)
  expect(errors).toEqual([])
})
