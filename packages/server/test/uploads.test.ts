/** Uploads of files to sessions: PROTOCOL.md#uploads. */
import { randomBytes } from 'node:crypto'
import { limits } from '@millrace/protocol'
import { type Engine, memoryEngine, type UploadedFile } from 'millrace'
import { describe, expect, it } from 'vitest'
import { png, uploadTo } from './support/files.ts'
import { rejection } from './support/given.ts'
import { startServer } from './support/server.ts'
import { bearer, secret, sign } from './support/tokens.ts'

const piece = limits.pieceBytes
const pdf = (size: number) => Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(size - 9)])
const read = (url: string, session: string, position: string | undefined) => fetch(`${url}/api/files/${session}/${position}`)
const partial = (size: number) => ({ 'upload-complete': '?0', 'upload-length': String(size) })

describe('a file that is uploaded whole', () => {
  it('is an event of its session, and is read back as it was', async () => {
    const uploaded: UploadedFile[] = []
    const { url } = await startServer({ observers: [{ fileUploaded: (file) => uploaded.push(file) }] })
    const bytes = pdf(3 * piece + 7)
    const answer = await uploadTo(url, bytes, { mediaType: 'application/pdf', name: '报告 "1".pdf' })
    expect(answer.status).toBe(201)
    const { session, position, ...file } = answer.upload
    expect(file).toMatchObject({ mediaType: 'application/pdf', name: '报告 "1".pdf', size: bytes.length, offset: bytes.length })
    expect(answer.headers.get('location')).toBe(`/api/files/${session}/${position}`)
    const got = await read(url, session, position)
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true)
    expect(Object.fromEntries(got.headers)).toMatchObject({
      'content-type': 'application/pdf',
      'content-length': String(bytes.length),
      'content-disposition': `attachment; filename="__ _1_.pdf"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%20%221%22.pdf`,
      'content-security-policy': "default-src 'none'; sandbox",
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
    })
    const polled = (await (await fetch(`${url}/api/stream?session=${session}&live=poll`)).json()) as { events: object[] }
    const { upload, mediaType, name, size } = answer.upload
    expect(polled.events).toEqual([{ event: 'upload', id: position, data: { upload, mediaType, name, size } }])
    expect(uploaded).toMatchObject([{ session, position, mediaType, size }])
    expect(await (await fetch(`${url}/metrics`)).text()).toContain(`millrace_uploaded_bytes_total ${bytes.length}`)
  })

  it('is shown only where it is a picture, is read again only where it has changed, and has no body for HEAD', async () => {
    const { url } = await startServer()
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png' })
    const got = await read(url, upload.session, upload.position)
    expect(got.headers.get('content-disposition')).toBe('inline')
    const address = `${url}/api/files/${upload.session}/${upload.position}`
    const etag = got.headers.get('etag') as string
    expect((await fetch(address, { headers: { 'if-none-match': etag } })).status).toBe(304)
    expect((await fetch(`${address}?download`)).headers.get('content-disposition')).toBe('attachment')
    const head = await fetch(address, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, String(png.length), ''])
  })

  it('is read in parts', async () => {
    const { url } = await startServer()
    const size = 2 * 262_144 + 10
    const bytes = Buffer.alloc(size, '0123456789')
    const { upload } = await uploadTo(url, bytes, { mediaType: 'text/plain' })
    const address = `${url}/api/files/${upload.session}/${upload.position}`
    const get = async (range: string, more = {}) => {
      const response = await fetch(address, { headers: { range, ...more } })
      const got = Buffer.from(await response.arrayBuffer())
      const { status, headers } = response
      return {
        status,
        headers,
        got,
        etag: headers.get('etag') ?? '',
        is: (a: number, b: number) => got.equals(bytes.subarray(a, b)),
      }
    }
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1],
      ['bytes=262140-262150', 262_140, 262_151],
      ['bytes=300000-', 300_000, size],
      ['bytes=-5', size - 5, size],
      ['bytes=9-99999999', 9, size],
    ] as const) {
      const { status, headers, is } = await get(range)
      const lines = ['content-range', 'content-length'].map((name) => headers.get(name))
      expect([range, status, ...lines, is(start, end)]).toEqual([
        range,
        206,
        `bytes ${start}-${end - 1}/${size}`,
        String(end - start),
        true,
      ])
    }
    for (const range of ['bytes=0-1,4-5', 'bytes=-', `bytes=${size}-`, 'bytes=-0', 'bytes=5-4', 'lines=1-2'])
      expect([range, (await get(range)).status]).toEqual([range, 200])
    const { etag } = await get('bytes=0-1')
    expect((await get('bytes=0-1', { 'if-range': etag })).status).toBe(206)
    expect((await get('bytes=0-1', { 'if-range': '"other"' })).status).toBe(200)
  })

  it('goes into a session that exists, or a new one of its user', async () => {
    const { url } = await startServer({ access: { tokens: { secret } } })
    const ada = bearer(await sign({ sub: 'ada' }))
    const bob = bearer(await sign({ sub: 'bob' }))
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png', headers: ada })
    const again = await uploadTo(url, png, { mediaType: 'image/png', headers: ada, session: upload.session })
    expect(again.upload.session).toBe(upload.session)
    const address = `${url}/api/files/${upload.session}/${upload.position}`
    expect((await fetch(address, { headers: ada })).status).toBe(200)
    expect(await rejection(fetch(address, { headers: bob }))).toEqual([404, 'session_not_found'])
    const other = { mediaType: 'image/png', headers: bob, session: upload.session }
    expect((await uploadTo(url, png, other)).code).toBe('session_not_found')
    expect((await uploadTo(url, png, { mediaType: 'image/png', session: 'none', headers: bob })).code).toBe('session_not_found')
  })

  it('is taken by a host of web standards, and of one that has read the body nothing is kept', async () => {
    const { millrace } = await startServer()
    const send = (body: Uint8Array<ArrayBuffer> | undefined, length = png.length) => {
      const headers = { 'content-type': 'image/png', 'content-length': String(length), host: 'localhost' }
      return millrace.fetch(new Request('http://localhost/api/files', { method: 'POST', headers, ...(body && { body }) }))
    }
    const kept = await send(png)
    expect(kept.status).toBe(201)
    const { session, position } = (await kept.json()) as { session: string; position: string }
    const got = await millrace.fetch(
      new Request(`http://localhost/api/files/${session}/${position}`, { headers: { host: 'localhost' } }),
    )
    expect(Buffer.from(await got.arrayBuffer()).equals(png)).toBe(true)
    expect((await send(undefined)).status).toBe(400)
    expect(await millrace.engine.list('file/')).toHaveLength(1)
    expect(await millrace.engine.list('unfinished/')).toEqual([])
  })

  it('is deleted with its session', async () => {
    const { url, millrace } = await startServer()
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png' })
    const { upload: open } = await uploadTo(url, new Uint8Array(), {
      mediaType: 'image/png',
      session: upload.session,
      headers: partial(9),
    })
    expect(await millrace.engine.list(`file/${upload.session}/`)).toHaveLength(2)
    await fetch(`${url}/api/sessions/${upload.session}`, { method: 'DELETE' })
    expect(await millrace.engine.list('file/')).toEqual([])
    const rest = { method: 'PATCH', headers: { 'upload-offset': '0' }, body: png.subarray(0, 9) }
    expect(await rejection(fetch(`${url}/api/uploads/${upload.session}/${open.upload}`, rest))).toEqual([404, 'upload_not_found'])
  })
})

describe('an upload in parts', () => {
  it('continues at its offset, whatever is lost, repeated or sent at the same time', async () => {
    const { url } = await startServer()
    const bytes = pdf(2 * piece + 100)
    const { upload, headers } = await uploadTo(url, bytes.subarray(0, piece + 10), {
      mediaType: 'application/pdf',
      headers: partial(bytes.length),
    })
    expect(upload).toMatchObject({ offset: piece, size: bytes.length })
    expect(upload.position).toBeUndefined()
    const address = url + headers.get('location')
    const send = (offset: number, end?: number) =>
      fetch(address, { method: 'PATCH', headers: { 'upload-offset': String(offset) }, body: bytes.subarray(offset, end) })
    expect(await rejection(send(0))).toEqual([409, 'upload_offset_mismatch'])
    expect(await rejection(send(piece + 10))).toEqual([409, 'upload_offset_mismatch'])
    const both = await Promise.all([send(piece, 2 * piece), send(piece, 2 * piece)])
    expect(new Set(both.map(({ status }) => status))).toEqual(new Set([200, 409]))
    const state = await fetch(address)
    expect(await state.json()).toMatchObject({ offset: 2 * piece })
    expect(Object.fromEntries(state.headers)).toMatchObject({
      'upload-offset': String(2 * piece),
      'upload-length': String(bytes.length),
      'upload-complete': '?0',
    })
    const done = (await (await send(2 * piece)).json()) as { position: string }
    // The response was lost: it is asked for, and the end is sent again.
    expect(await (await fetch(address)).json()).toMatchObject(done)
    expect(await (await send(bytes.length)).json()).toMatchObject(done)
    const got = await read(url, upload.session, done.position)
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true)
  })

  it('keeps one of two parts that arrive at the same moment, on two servers', async () => {
    const inner = memoryEngine()
    const both = Promise.withResolvers<void>()
    let waiting = 0
    const append: Engine['append'] = async (log, events, options) => {
      if (events[0]?.type === 'file_data' && ++waiting <= 2) {
        if (waiting === 2) both.resolve()
        await both.promise
      }
      return inner.append(log, events, options)
    }
    let open = 2
    const engine = { ...inner, append, close: async () => void (--open === 0 && (await inner.close())) }
    const [one, other] = [await startServer({ engine }), await startServer({ engine })]
    const bytes = pdf(2 * piece)
    const { upload, headers } = await uploadTo(one.url, new Uint8Array(), {
      mediaType: 'application/pdf',
      headers: partial(bytes.length),
    })
    const path = headers.get('location') as string
    const send = (url: string, offset: number) =>
      fetch(url + path, {
        method: 'PATCH',
        headers: { 'upload-offset': String(offset) },
        body: bytes.subarray(offset, offset + piece),
      })
    const answers = await Promise.all([send(one.url, 0), send(other.url, 0)])
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]))
    const { position } = (await (await send(other.url, piece)).json()) as { position: string }
    const got = await read(one.url, upload.session, position)
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true)
  })

  it('is completed by an end that was lost before it was recorded', async () => {
    const inner = memoryEngine()
    let fails = true
    const append: Engine['append'] = (log, events, options) =>
      fails && events[0]?.type === 'upload' ? Promise.reject(new Error('away')) : inner.append(log, events, options)
    const { url } = await startServer({ engine: { ...inner, append } })
    const { upload } = await uploadTo(url, new Uint8Array(), { mediaType: 'image/png', headers: partial(png.length) })
    const send = (offset: number) =>
      fetch(`${url}/api/uploads/${upload.session}/${upload.upload}`, {
        method: 'PATCH',
        headers: { 'upload-offset': String(offset) },
        body: png.subarray(offset),
      })
    expect((await send(0)).status).toBe(500)
    fails = false
    expect(await (await send(png.length)).json()).toMatchObject({ offset: png.length, position: expect.any(String) as string })
  })

  it('is of the user who began it, and can be cancelled', async () => {
    const { url, millrace } = await startServer({ access: { tokens: { secret } }, authorize: () => 'allow' })
    const ada = bearer(await sign({ sub: 'ada' }))
    const bob = bearer(await sign({ sub: 'bob' }))
    const { upload } = await uploadTo(url, new Uint8Array(), { mediaType: 'image/png', headers: { ...ada, ...partial(9) } })
    const address = `${url}/api/uploads/${upload.session}/${upload.upload}`
    expect(await rejection(fetch(address, { headers: bob }))).toEqual([404, 'upload_not_found'])
    expect((await fetch(address, { method: 'DELETE', headers: ada })).status).toBe(204)
    expect(await rejection(fetch(address, { headers: ada }))).toEqual([404, 'upload_not_found'])
    expect([await millrace.engine.list('file/'), await millrace.engine.list('unfinished/')]).toEqual([[], []])
  })

  it('is forgotten after a while, also where another server began it', async () => {
    const engine = memoryEngine()
    const { url } = await startServer({ engine: { ...engine, async close() {} } })
    const { upload } = await uploadTo(url, new Uint8Array(), { mediaType: 'image/png', headers: partial(9) })
    const other = await startServer({ engine, limits: { uploadMsMax: 20 } })
    const address = `${other.url}/api/uploads/${upload.session}/${upload.upload}`
    await expect.poll(() => engine.list('unfinished/'), { interval: 5 }).toEqual([])
    expect(await engine.list('file/')).toEqual([])
    expect(await rejection(fetch(address))).toEqual([404, 'upload_not_found'])
  })

  it('is not forgotten once it is complete, also where the list of unfinished ones still has it', async () => {
    const inner = memoryEngine()
    let fails = true
    const remove: Engine['delete'] = (log) =>
      fails && log.startsWith('unfinished/') ? Promise.reject(new Error('away')) : inner.delete(log)
    const engine = { ...inner, delete: remove, async close() {} }
    const { url } = await startServer({ engine })
    const { status, upload } = await uploadTo(url, png, { mediaType: 'image/png' })
    expect(status).toBe(201)
    expect(await inner.list('unfinished/')).toHaveLength(1)
    fails = false
    await startServer({ engine, limits: { uploadMsMax: 20 } })
    await expect.poll(() => inner.list('unfinished/'), { interval: 5 }).toEqual([])
    const file = await fetch(`${url}/api/files/${upload.session}/${upload.position}`)
    expect(Buffer.from(await file.arrayBuffer())).toEqual(png)
  })
})
