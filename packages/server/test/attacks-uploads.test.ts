/** Files that lie, names that reach for more, and uploads that never end. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { limits } from '@millrace/protocol'
import type { LimitHit } from 'millrace'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { png, uploadTo } from './support/files.ts'
import { rejection } from './support/given.ts'
import { postJson, startServer } from './support/server.ts'
import { bearer, secret, sign } from './support/tokens.ts'

const partial = (size: number) => ({ 'upload-complete': '?0', 'upload-length': String(size) })
const text = (value: string) => Buffer.from(value)

describe('a file that lies about its type', () => {
  const html = text('<script>alert(1)</script>')
  const elf = Buffer.from('7f454c4602010100', 'hex')
  it.each([
    ['image/png', html],
    ['image/jpeg', png],
    ['image/gif', text('GIF88a')],
    ['image/webp', text('RIFF....WAVE')],
    ['application/pdf', text(' %PDF-1.7')],
    ['text/plain', png],
    ['text/plain', elf],
    ['text/csv', Buffer.from([0xc3, 0x28])],
    ['application/json', Buffer.from([0x7b, 0xff, 0x7d])],
    // Cut in the middle of a character at the end.
    ['text/plain', text('世界').subarray(0, 5)],
  ])('%s', async (mediaType, bytes) => {
    const { url, millrace } = await startServer()
    const answer = await uploadTo(url, bytes, { mediaType })
    expect([answer.status, answer.code]).toEqual([415, 'file_type_mismatch'])
    expect([await millrace.engine.list('file/'), await millrace.engine.list('unfinished/')]).toEqual([[], []])
  })

  it('behind its first piece, where a character may also be split', async () => {
    const { url } = await startServer()
    const honest = Buffer.alloc(limits.pieceBytes + 2, 'a')
    text('世').copy(honest, limits.pieceBytes - 1)
    expect((await uploadTo(url, honest, { mediaType: 'text/plain' })).status).toBe(201)
    const lie = Buffer.concat([Buffer.alloc(limits.pieceBytes, 'a'), Buffer.of(0xff)])
    expect((await uploadTo(url, lie, { mediaType: 'text/plain' })).code).toBe('file_type_mismatch')
  })

  it('is not accepted under a type that nobody allowed', async () => {
    const { url } = await startServer()
    for (const mediaType of ['image/svg+xml', 'application/x-msdownload', 'nonsense', 'image/*', ''])
      expect((await uploadTo(url, png, { mediaType })).code).toBe('file_type_not_allowed')
    const { url: only } = await startServer({ fileTypes: ['image/png'] })
    expect((await uploadTo(only, png, { mediaType: 'IMAGE/PNG; charset=utf-8' })).upload.mediaType).toBe('image/png')
    expect((await uploadTo(only, text('x'), { mediaType: 'text/plain' })).code).toBe('file_type_not_allowed')
    const { url: none } = await startServer({ fileTypes: [] })
    expect((await uploadTo(none, png, { mediaType: 'image/png' })).code).toBe('file_type_not_allowed')
  })
})

describe('the size of a file', () => {
  it('is checked before a byte is read, and kept to', async () => {
    const { url, millrace } = await startServer()
    expect((await uploadTo(url, new Uint8Array(), { mediaType: 'image/png' })).code).toBe('file_empty')
    const big = Buffer.alloc(20 * 1024 * 1024 + 1, 'a')
    const answer = await uploadTo(url, big, { mediaType: 'text/plain' })
    expect([answer.status, answer.code]).toEqual([413, 'file_too_large'])
    expect((await uploadTo(url, png, { mediaType: 'image/png', headers: partial(big.length) })).code).toBe('file_too_large')
    expect((await uploadTo(url, png, { mediaType: 'image/png', headers: partial(9) })).code).toBe('invalid_request')
    const unknown = {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: new Blob(['x']).stream(),
      duplex: 'half' as const,
    }
    expect(await rejection(fetch(`${url}/api/files`, unknown))).toEqual([400, 'invalid_request'])
    expect(await millrace.engine.list('')).toEqual([])
    const largest = await uploadTo(url, big.subarray(1), { mediaType: 'text/plain' })
    expect(largest.status).toBe(201)
  })

  it('is what the upload said, also of a body without a length', async () => {
    const { url } = await startServer()
    const { headers } = await uploadTo(url, new Uint8Array(), { mediaType: 'image/png', headers: partial(png.length) })
    const body = () => new Blob([png, 'more']).stream()
    const longer = { method: 'PATCH', headers: { 'upload-offset': '0' }, duplex: 'half' as const, body: body() }
    expect(await rejection(fetch(url + headers.get('location'), longer))).toEqual([400, 'invalid_request'])
    for (const offset of ['', '-1', 'x', '1e3', '99999999999999999999']) {
      const wrong = { method: 'PATCH', headers: { 'upload-offset': offset }, body: png }
      expect(await rejection(fetch(url + headers.get('location'), wrong))).toEqual([400, 'invalid_request'])
    }
  })
})

it('a name has no path, no line end, and nothing that reorders text', async () => {
  const { url } = await startServer()
  const names: [string, string | undefined][] = [
    ['../../etc/passwd', 'passwd'],
    ['C:\\Windows\\a.png', 'a.png'],
    ['a\r\nset-cookie: x=1\u2028.png', 'aset-cookie: x=1.png'],
    ['\u202egnp.exe\u2066', 'gnp.exe'],
    ['..', undefined],
    ['/', undefined],
    [`${'😀'.repeat(128)}.png`, '😀'.repeat(127)],
    ['"; x="\';.png', '"; x="\';.png'],
  ]
  for (const [given, kept] of names) {
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png', name: given })
    expect(upload.name).toBe(kept)
    const { headers } = await fetch(`${url}/api/files/${upload.session}/${upload.position}`)
    expect(headers.get('set-cookie')).toBeNull()
    expect(headers.get('content-disposition')).toMatch(/^inline(; filename="[\w. ()-]+"; filename\*=UTF-8''[\w%.!~-]+)?$/)
  }
  expect((await uploadTo(url, png, { mediaType: 'image/png', name: 'x'.repeat(1025) })).code).toBe('invalid_request')
})

describe('one client', () => {
  it('that begins a thousand uploads has twenty, and can go on with them', async () => {
    // All in the same millisecond.
    vi.spyOn(Date, 'now').mockReturnValue(Date.now())
    onTestFinished(() => void vi.restoreAllMocks())
    const hits: LimitHit[] = []
    const { url, millrace } = await startServer({ observers: [{ limitHit: (hit) => hits.push(hit) }] })
    const { id: session } = (await (await postJson(`${url}/api/sessions`, {})).json()) as { id: string }
    const start = () => uploadTo(url, new Uint8Array(), { mediaType: 'image/png', session, headers: partial(png.length) })
    const answers = (
      await Promise.all(Array.from({ length: 20 }, async () => Promise.all(Array.from({ length: 50 }, start))))
    ).flat()
    const begun = answers.filter(({ status }) => status === 201)
    expect(begun).toHaveLength(20)
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set([undefined, 'too_many_uploads']))
    expect(await millrace.engine.list('')).toHaveLength(41)
    expect(hits).toHaveLength(980)
    const end = { method: 'PATCH', headers: { 'upload-offset': '0' }, body: png }
    expect((await fetch(url + begun[0]?.headers.get('location'), end)).status).toBe(200)
    expect((await start()).status).toBe(201)
  })

  it('uploads so many bytes a day', async () => {
    const { url } = await startServer({ access: { tokens: { secret } }, limits: { uploadBytesPerDay: 2 * png.length } })
    const headers = bearer(await sign({ sub: 'ada' }))
    const upload = () => uploadTo(url, png, { mediaType: 'image/png', headers })
    expect([(await upload()).status, (await upload()).status, (await upload()).code]).toEqual([201, 201, 'rate_limited'])
  })

  it('that sends slowly is not waited for, and keeps what it has sent', async () => {
    const { url, port } = await startServer({ limits: { requestMs: 1000 } })
    const size = limits.pieceBytes + 100
    const { headers } = await uploadTo(url, new Uint8Array(), { mediaType: 'text/plain', headers: partial(size) })
    const path = headers.get('location') as string
    const socket = connect(port, '127.0.0.1')
    socket.write(`PATCH ${path} HTTP/1.1\r\nhost: localhost\r\nupload-offset: 0\r\ncontent-length: ${size}\r\n\r\n`)
    socket.write(Buffer.alloc(limits.pieceBytes, 'a'))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 408 .*"request_timeout"/s)
    expect(await (await fetch(url + path)).json()).toMatchObject({ offset: limits.pieceBytes })
  })

  it('that leaves in the middle leaves nothing behind, where nobody can continue', async () => {
    const { port, millrace, errors } = await startServer()
    const socket = connect(port, '127.0.0.1')
    socket.write('POST /api/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 999999\r\n\r\n')
    socket.write(Buffer.alloc(limits.pieceBytes, 'a'))
    await expect.poll(async () => (await millrace.engine.list('file/')).length, { interval: 2 }).toBe(1)
    socket.destroy()
    const left = () => Promise.all(['file/', 'unfinished/'].map((prefix) => millrace.engine.list(prefix)))
    await expect.poll(left, { interval: 5 }).toEqual([[], []])
    expect(errors).toEqual([])
  })
})

describe('a position', () => {
  it('that is of no file here is none, and says nothing about other sessions', async () => {
    const { url } = await startServer()
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png' })
    const { upload: other } = await uploadTo(url, png, { mediaType: 'image/png' })
    const read = (session: string, position: string) => rejection(fetch(`${url}/api/files/${session}/${position}`))
    const position = upload.position as string
    expect(await read(other.session, position)).toEqual([404, 'file_not_found'])
    expect(await read(other.session, `${upload.session}:${position}`)).toEqual([404, 'file_not_found'])
    expect(await read('none', position)).toEqual([404, 'session_not_found'])
    for (const end of ['-0', '-2', '-999999'])
      expect(await read(upload.session, position.replace(/-1$/, end))).toEqual([404, 'file_not_found'])
    for (const wrong of ['x', '..%2f..%2fetc', 'a-b', 'start'])
      expect(((await read(upload.session, wrong)) as unknown[])[1]).toBe('position_invalid')
  })

  it('is read with a share link, with which nothing is uploaded', async () => {
    const { url } = await startServer({ access: { tokens: { secret } } })
    const ada = bearer(await sign({ sub: 'ada' }))
    const { upload } = await uploadTo(url, png, { mediaType: 'image/png', headers: ada })
    const { token } = (await (await postJson(`${url}/api/sessions/${upload.session}/shares`, {}, ada)).json()) as {
      token: string
    }
    const address = `${url}/api/files/${upload.session}/${upload.position}`
    expect((await fetch(address, { headers: bearer(token) })).status).toBe(200)
    const shared = { mediaType: 'image/png', session: upload.session, headers: bearer(token) }
    expect((await uploadTo(url, png, shared)).code).toBe('forbidden')
    const reader = bearer(await sign({ sub: 'ada', millrace: { may: ['session.read'] } }))
    expect((await uploadTo(url, png, { mediaType: 'image/png', headers: reader })).code).toBe('forbidden')
    expect((await fetch(address, { headers: reader })).status).toBe(200)
  })
})
