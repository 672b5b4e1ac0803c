/** A run as a thing of its own: its events, text, parts and end, beside whatever else reads its session. */
import { expect, it } from 'vitest'
import { type ClientSuite, oneTo, readNumbers, startWorld } from './world.ts'

const words = (count: number) =>
  oneTo(count)
    .map((number) => `${number} `)
    .join('')

export function runCases({ transport }: ClientSuite): void {
  it('gives its own events, from its start to its end, and nothing of another run', async () => {
    const { connect, counter, proxy } = await startWorld()
    counter.letTo(3)
    const session = connect(transport).session()
    await session.run({ query: '3' }).done
    const run = session.run({ query: '6' })
    const types: string[] = []
    let text = ''
    for await (const event of run) {
      if (event.type !== types.at(-1)) types.push(event.type)
      if (event.type !== 'message') continue
      text += event.data.text
      if (!text.includes('3 ')) continue
      proxy.cut()
      counter.letTo(6)
    }
    expect([types, text]).toEqual([['stream_start', 'message', 'stream_end'], words(6)])
  })

  it('gives its text as it grows and as a whole, to many at once, beside a loop over the session', async () => {
    const { connect, counter, proxy } = await startWorld()
    const session = connect(transport).session()
    const reading = readNumbers(session)
    counter.letTo(3)
    const run = session.run({ query: '9' })
    const whole = run.text
    const collect = async () => {
      let text = ''
      for await (const piece of run.text) {
        text += piece
        if (text === words(3)) {
          proxy.cut()
          counter.letTo(9)
        }
      }
      return text
    }
    expect(await Promise.all([collect(), whole, run.done, reading])).toEqual([
      words(9),
      words(9),
      expect.objectContaining({ status: 'completed' }),
      oneTo(9),
    ])
    // Kept, so nothing is read again.
    expect(await run.text).toBe(words(9))
  })

  it('is read from its start though the session is read further on already', async () => {
    const { connect, counter } = await startWorld()
    const session = connect(transport).session()
    counter.letTo(3)
    const run = session.run({ query: '6' })
    let text: Promise<string> | undefined
    const numbers = await readNumbers(session, async (number) => {
      if (number !== 3) return
      text = Promise.resolve(run.text)
      // The model waits until all that it generated before has been read.
      for await (const parts of run.parts) if (parts.some((part) => part.type === 'text' && part.text === words(3))) break
      counter.letTo(6)
    })
    expect([numbers, await text]).toEqual([oneTo(6), words(6)])
  })

  it('is read on beside a loop over the session that begins behind it', async () => {
    const { connect, counter } = await startWorld()
    const session = connect(transport).session()
    counter.letTo(3)
    const run = session.run({ query: '6' })
    let reading: Promise<number[]> | undefined
    let text = ''
    for await (const piece of run.text) {
      text += piece
      if (text === words(3)) reading = readNumbers(session, (number) => counter.letTo(number < 3 ? 3 : 6))
    }
    expect([await reading, text]).toEqual([oneTo(6), words(6)])
  })

  it('is attached to by its id, also when it has ended, and stopped there', async () => {
    const { connect, counter } = await startWorld()
    counter.letTo(3)
    const one = connect(transport).session()
    const started = await one.run({ query: '9' })
    const two = connect(transport).session(one.id)
    const run = two.runs(started.run)
    for await (const piece of run.text) if (piece.includes('3')) break
    expect(await run.stop()).toMatchObject({ status: 'stopped' })
    expect(await run.done).toMatchObject({ status: 'stopped' })
    expect(await two.runs(started.run).text).toBe(words(3))
    await expect(two.runs('none').done).rejects.toMatchObject({ code: 'run_not_found' })
  })

  it('has lanes, each with its text, its parts and its end', async () => {
    const { connect } = await startWorld()
    const models = ['sim:count?n=3&tps=0', 'sim:think?n=3&think=2&tps=0', 'sim:file?after=2&tps=0']
    const run = connect(transport).session().run({ query: 'x', models })
    const [count, reason, file] = models.map((name) => run.lane(name))
    expect(await count?.text).toBe(words(3))
    expect(await run.text).toBe(words(3))
    expect((await reason?.parts)?.map(({ type }) => type)).toEqual(['reasoning', 'text'])
    const parts = (await file?.parts) ?? []
    expect(parts.map(({ type }) => type)).toEqual(['text', 'file', 'text'])
    const picture = parts.find((part) => part.type === 'file')
    expect(picture?.bytes).toHaveLength(picture?.size as number)
    expect(await count?.done).toMatchObject({ status: 'completed', model: models[0] })
    expect((await run.parts).length).toBe(6)
    await expect(run.lane('none').text).rejects.toThrow('There is no lane "none"')
  })

  it('rejects what waits for it when it is refused, and when the client is closed', async () => {
    const { connect, counter } = await startWorld()
    counter.letTo(3)
    const client = connect(transport)
    const session = client.session()
    const refused = session.run({ query: 'x', models: ['no:such-model'] })
    refused.catch(() => {})
    await expect(refused.text).rejects.toMatchObject({ code: 'model_not_found' })
    const run = session.run({ query: '9' })
    const end = run.done
    for await (const piece of run.text) if (piece.includes('3')) break
    client.close()
    await expect(end).rejects.toMatchObject({ code: 'closed' })
  })

  it('reads nothing while nobody waits for it', async () => {
    const { connect, counter, millrace } = await startWorld()
    counter.letTo(3)
    const client = connect(transport)
    const session = client.session()
    const run = session.run({ query: '9' })
    for await (const piece of run.text) if (piece.includes('3')) break
    expect(client.connection.current.state).toBe('idle')
    counter.letTo(9)
    await expect.poll(() => millrace.findRun(run.id)?.end).toBeDefined()
    expect(await run.text).toBe(words(9))
  })
}
