/** Uploads and downloads of the client, over a network that cuts, repeats and loses. */
import { randomBytes } from 'node:crypto'
import { connect } from '@millrace/client'
import { download, type Progress, upload, withFiles } from '@millrace/client/files'
import { createMillrace, memoryEngine } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startFaultProxy } from '../src/fault-proxy.ts'

const mebibyte = 1024 * 1024
const type = 'application/pdf'

function pdf(size: number): Buffer<ArrayBuffer> {
  const bytes = randomBytes(size)
  bytes.write('%PDF-1.7')
  return bytes
}

async function start(engine = memoryEngine()) {
  const millrace = createMillrace({ engine, model: 'sim:echo?tps=0&show=messages', onError: () => {} })
  onTestFinished(() => millrace.close())
  const { port } = await millrace.listen({ port: 0 })
  return { millrace, port }
}

async function open(port: number) {
  const proxy = await startFaultProxy(port)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const client = connect(proxy.url, { transport: 'poll' })
  onTestFinished(() => client.close())
  return { proxy, client }
}

describe('upload', () => {
  it('reports its progress, makes the session, and gives what a question names', async () => {
    const { millrace, port } = await start()
    const { client } = await open(port)
    const session = client.session()
    const bytes = pdf(3 * mebibyte + 1)
    const progress: Progress[] = []
    const file = await upload(session, new File([bytes], 'a.pdf', { type }), { onProgress: (at) => progress.push(at) })
    expect(file).toEqual({ session: session.id, mediaType: type, name: 'a.pdf', size: bytes.length, position: file.position })
    expect([progress[0], progress.at(-1)]).toEqual([0, bytes.length].map((at) => ({ bytes: at, size: bytes.length })))
    expect(progress.map((at) => at.bytes)).toEqual(progress.map((at) => at.bytes).toSorted((one, other) => one - other))
    expect(progress.length).toBeGreaterThan(3)
    const run = session.run({ messages: withFiles('What is it?', [file]) })
    expect(await run.text).toContain(`"name":"a.pdf","size":${bytes.length}`)
    expect((await millrace.readSession(session.id))?.runs[0]?.messages?.[0]?.content).toMatchObject([
      { text: 'What is it?' },
      { file: file.position },
    ])
  })

  it('continues after every cut, and over another server, byte for byte', async () => {
    const engine = memoryEngine()
    let isOpen = 2
    const shared = { ...engine, close: async () => void (--isOpen === 0 && (await engine.close())) }
    const [one, other] = [await start(shared), await start(shared)]
    const { proxy, client } = await open(one.port)
    const bytes = pdf(5 * mebibyte + 77)
    const session = client.session()
    let cuts = 0
    const onProgress = ({ bytes: kept, size }: Progress) => {
      if (cuts++ % 2 === 0 && kept < size) proxy.cut()
      proxy.redirect(cuts % 3 === 0 ? other.port : one.port)
    }
    const { position } = await upload(session, new Blob([bytes], { type }), { onProgress })
    expect(cuts).toBeGreaterThan(3)
    const seen: Progress[] = []
    const got = await download(session, position, { onProgress: (at) => seen.push(at) })
    expect(got.type).toBe(type)
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true)
    expect(seen.at(-1)).toEqual({ bytes: bytes.length, size: bytes.length })
    expect(Buffer.from(await (await fetch(session.fileUrl(position))).arrayBuffer()).equals(bytes)).toBe(true)
    expect(await engine.list('unfinished/')).toEqual([])
  })

  it('does not upload twice where a response is lost, that of the last part too', async () => {
    const { millrace, port } = await start()
    const lost = new Set<string>()
    const fetchLossy: typeof fetch = async (address, request) => {
      const response = await fetch(address, request)
      const offset = new Headers(request?.headers).get('upload-offset')
      if (offset === null || lost.has(offset)) return response
      lost.add(offset)
      await response.arrayBuffer()
      throw new TypeError('fetch failed')
    }
    const client = connect(`http://127.0.0.1:${port}`, { transport: 'poll', fetch: fetchLossy })
    onTestFinished(() => client.close())
    const session = client.session()
    const bytes = pdf(3 * mebibyte)
    const { position } = await upload(session, new Blob([bytes], { type }))
    expect(lost.size).toBeGreaterThan(1)
    expect(Buffer.from(await (await download(session, position)).arrayBuffer()).equals(bytes)).toBe(true)
    expect(await millrace.engine.list('file/')).toHaveLength(1)
  })

  it('ends with its signal, and is cancelled', async () => {
    const { millrace, port } = await start()
    const { client } = await open(port)
    const abort = new AbortController()
    const onProgress = ({ bytes }: Progress) => bytes > 0 && abort.abort(new Error('enough'))
    const uploading = upload(client.session(), new Blob([pdf(4 * mebibyte)], { type }), { signal: abort.signal, onProgress })
    await expect(uploading).rejects.toThrow('enough')
    await expect.poll(() => millrace.engine.list('file/')).toEqual([])
  })

  it('rejects with what the server says, and where it stalls', async () => {
    const { port } = await start()
    const { proxy, client } = await open(port)
    const session = client.session()
    const codeOf = (blob: Blob, options = {}) => upload(session, blob, options).catch((error: { code: string }) => error.code)
    expect(await codeOf(new Blob(['x'], { type: 'image/png' }))).toBe('file_type_mismatch')
    expect(await codeOf(new Blob(['x'], { type: 'video/mp4' }))).toBe('file_type_not_allowed')
    expect(await codeOf(new Blob([], { type }))).toBe('file_empty')
    expect(await codeOf(new Blob([Buffer.alloc(21 * mebibyte)], { type }))).toBe('file_too_large')
    proxy.refuse(true)
    proxy.cut()
    expect(await codeOf(new Blob([pdf(9)], { type }), { stalledMs: 1 })).toBe('unreachable')
  })
})

it('a download goes on after every cut where it was', async () => {
  const { port } = await start()
  const { proxy, client } = await open(port)
  const session = client.session()
  const bytes = pdf(4 * mebibyte + 3)
  const { position } = await upload(session, new Blob([bytes], { type }))
  let cuts = 0
  const seen: number[] = []
  const onProgress = (at: Progress) => {
    seen.push(at.bytes)
    expect(at.size).toBe(bytes.length)
    if (at.bytes > (cuts + 1) * mebibyte && cuts < 3) {
      cuts++
      proxy.cut()
    }
  }
  const got = await download(session, position, { onProgress })
  expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true)
  expect(cuts).toBe(3)
  // Nothing was read again.
  expect(seen).toEqual(seen.toSorted((one, other) => one - other))
})

it('a download ends with its signal, and rejects for what is no file', async () => {
  const { port } = await start()
  const { client } = await open(port)
  const session = client.session()
  const { position } = await upload(session, new Blob([pdf(2 * mebibyte)], { type }))
  const abort = new AbortController()
  const onProgress = ({ bytes }: Progress) => bytes > 0 && abort.abort(new Error('enough'))
  await expect(download(session, position, { signal: abort.signal, onProgress })).rejects.toThrow('enough')
  await expect(download(session, position.replace(/-1$/, '-9'))).rejects.toMatchObject({ code: 'file_not_found' })
})
