/** Sessions as a whole, through the client: listed, renamed, exported, and deleted under their readers. */
import { expect, it } from 'vitest'
import { type ClientSuite, readNumbers, startWorld } from './world.ts'

export function sessionCases({ transport }: ClientSuite): void {
  it('lists what was asked, under its title, page by page', async () => {
    const { connect, counter } = await startWorld()
    const client = connect(transport)
    counter.letTo(1)
    const ids: string[] = []
    for (let n = 1; n <= 3; n++) {
      const session = client.session()
      await session.run({ query: '1' })
      expect(await readNumbers(session)).toEqual([1])
      ids.unshift(session.id)
    }
    const { sessions, next } = await client.sessions.list({ limit: 2 })
    expect(sessions.map(({ id, title }) => [id, title])).toEqual(ids.slice(0, 2).map((id) => [id, '1']))
    const rest = await client.sessions.list({ limit: 2, before: next as number })
    expect(rest).toMatchObject({ sessions: [{ id: ids[2] }] })
    expect(rest.next).toBeUndefined()
    expect(await client.sessions.rename(ids[2] as string, ' 计数 ')).toMatchObject({ id: ids[2], title: '计数' })
    expect((await client.sessions.list()).sessions.at(-1)?.title).toBe('计数')
    await expect(client.sessions.rename(ids[0] as string, ' ')).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await client.sessions.export(ids[2] as string)).toContain('计数')
    expect(JSON.parse(await client.sessions.export(ids[2] as string, { format: 'json' }))).toMatchObject({
      id: ids[2],
      title: '计数',
    })
  })

  it('lists the models that it may use', async () => {
    const { connect } = await startWorld()
    const client = connect(transport)
    const { default: chosen, models } = await client.models()
    expect({ chosen, names: models.map(({ name }) => name) }).toEqual({
      chosen: 'counting',
      names: expect.arrayContaining(['counting']),
    })
    const signal = AbortSignal.abort(new Error('left'))
    await expect(client.models({ signal })).rejects.toThrow('left')
  })

  it('ends a reader with an error when its session is deleted', async () => {
    const { connect, counter } = await startWorld()
    const client = connect(transport)
    const session = client.session()
    void session.run({ query: '100' }).catch(() => {})
    counter.letTo(3)
    // The end of the run that the deletion stops may still arrive, then only the error.
    const types: string[] = []
    const reading = (async () => {
      for await (const { type, data } of session.events()) {
        types.push(type)
        if (type === 'message' && data.text.includes('3')) await connect(transport).sessions.delete(session.id)
      }
    })()
    await expect(reading).rejects.toMatchObject({ code: 'session_not_found' })
    expect(['message', 'stream_end']).toContain(types.at(-1))
    expect(client.connection.current.state).toBe('closed')
    expect((await client.sessions.list()).sessions).toEqual([])
    for (const call of [client.sessions.delete(session.id), client.sessions.export(session.id)])
      await expect(call).rejects.toMatchObject({ code: 'session_not_found' })
  })
}
