/** Files in an answer: PROTOCOL.md#files. */
import { download } from '@millrace/client/files'
import { expect, it } from 'vitest'
import { type ClientSuite, startWorld } from './world.ts'

export function fileCases({ transport }: ClientSuite): void {
  it('gives a file in mid-answer, byte for byte and behind what tells of it, though it is cut after every event', async () => {
    const { connect, millrace, proxy } = await startWorld()
    const session = connect(transport).session()
    await session.run({ query: 'x', models: ['sim:file?after=4&tps=0'] })
    const said: string[] = []
    let received: { readonly size: number; readonly position: string } | undefined
    let bytes: Uint8Array | undefined
    for await (const event of session.events()) {
      said.push(event.type === 'message' ? event.data.text : event.type)
      if (event.type === 'file') received = { size: event.data.size, position: event.id }
      if (event.type === 'file_data') bytes = event.data
      if (event.type === 'stream_end') break
      proxy.cut()
    }
    const words = (...numbers: number[]) => numbers.map((number) => `${number} `).join('')
    expect(said.join('')).toBe(`stream_start${words(1, 2, 3, 4)}filefile_data${words(5, 6, 7, 8)}stream_end`)
    expect(bytes).toHaveLength(received?.size as number)
    const { files = [] } = (await millrace.readSession(session.id))?.runs[0]?.lanes[0] ?? {}
    expect(files).toEqual([{ mediaType: 'image/png', name: 'wheel.png', ...received }])
    const { events } = await millrace.engine.read(session.id, { epoch: received?.position.split('-')[0] as string, offset: 0 })
    expect(events.find(({ type }) => type === 'file_data')?.data).toEqual(new Uint8Array(bytes as Uint8Array))
  })

  it('gives the bytes of a file again, by its position', async () => {
    const { connect } = await startWorld()
    const session = connect(transport).session()
    const parts = await session.run({ query: 'x', models: ['sim:file?after=1&tps=0'] }).parts
    const { runs, position } = await session.read()
    const [file] = runs[0]?.lanes[0]?.files ?? []
    expect(parts).toContainEqual(
      expect.objectContaining({ bytes: await (await download(session, file?.position as string)).bytes() }),
    )
    await expect(download(session, position)).rejects.toMatchObject({ code: 'file_not_found' })
  })
}
