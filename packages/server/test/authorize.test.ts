import { type Authorize, MillraceError } from 'millrace'
import { describe, expect, it } from 'vitest'
import { postJson, startRun, startServer } from './support/server.ts'
import { openSocket } from './support/socket.ts'

describe('authorize', () => {
  it('is asked before every attach, replay and command, over every transport', async () => {
    let allowed = true
    const asked: string[] = []
    const authorize: Authorize = ({ principal }, action, { session }) => {
      asked.push(`${principal.id} ${action} ${session === undefined ? 'new' : 'known'}`)
      if (!allowed) throw new MillraceError('forbidden')
    }
    const { url, millrace } = await startServer({ authorize })
    const { session, position } = await startRun(url, { query: 'x', id: 'r' })
    await millrace.findRun('r')?.ended
    const socket = await openSocket(url)
    for (const source of [{ session }, { channel: 'c' }]) {
      socket.send({ type: 'attach', from: 'now', ...source })
      expect(await socket.next()).toMatchObject({ type: 'attached' })
    }
    allowed = false
    asked.length = 0
    const requests = [
      () => fetch(`${url}/api/chat?query=x`),
      () => fetch(`${url}/api/chat?query=x&session=${session}`),
      () => fetch(`${url}/api/chat?query=x`, { headers: { 'last-event-id': `${session}:${position}` } }),
      () => fetch(`${url}/api/stream?session=${session}`),
      () => fetch(`${url}/api/stream?session=${session}&live=poll`),
      () => fetch(`${url}/api/sessions/${session}`),
      () => postJson(`${url}/api/sessions`, {}),
      () => postJson(`${url}/api/runs/r/stop`, {}),
    ]
    for (const request of requests) expect((await request()).status).toBe(403)
    for (const message of [
      { query: 'x' },
      { type: 'run', query: 'x' },
      { type: 'attach', session },
      { type: 'stop', run: 'r' },
      { type: 'continue', run: 'r', session },
      { type: 'ack', session, id: position },
      { type: 'ack', channel: 'c', id: position },
      { type: 'detach', session },
      { type: 'detach', channel: 'c' },
      { type: 'publish', channel: 'c', data: 1 },
    ]) {
      socket.send(message)
      expect(await socket.next()).toMatchObject({ type: 'error', error: { code: 'forbidden' } })
    }
    expect(asked).toEqual([
      'anonymous run.start new',
      'anonymous run.start known',
      'anonymous session.read known',
      'anonymous session.read known',
      'anonymous session.read known',
      'anonymous session.read known',
      'anonymous session.create new',
      'anonymous run.stop known',
      'anonymous run.start new',
      'anonymous run.start new',
      'anonymous session.read known',
      'anonymous run.stop known',
      'anonymous run.start known',
      'anonymous session.read known',
      'anonymous channel.read new',
      'anonymous session.read known',
      'anonymous channel.read new',
      'anonymous channel.publish new',
    ])
    expect(millrace.listConnections().map(({ sessions, acknowledged }) => [sessions, acknowledged])).toEqual([
      [[session, 'channel/c'], {}],
    ])
  })

  it('does not hand out a run by its id to whoever may not read its session', async () => {
    const authorize: Authorize = (_caller, action) => {
      if (action === 'session.read') throw new MillraceError('forbidden')
    }
    const { url, millrace } = await startServer({ authorize })
    await millrace.ask({ query: 'x', id: 'secret' })
    expect((await fetch(`${url}/api/chat?query=x&id=secret`)).status).toBe(403)
  })
})
