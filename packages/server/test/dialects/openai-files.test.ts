/** Pictures and other files that OpenAI's clients send with their questions. */
import type { MillraceOptions, Model, ModelPart } from 'millrace'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server.ts'
import { secret, sign } from '../support/tokens.ts'

const png = Buffer.from('89504e470d0a1a0a0000000d', 'hex')
const url = `data:image/png;base64,${png.toString('base64')}`

/** Says what it was given, with the bytes of files. */
const viewer: Model = {
  name: 'viewer',
  accepts: ['image/*', 'application/pdf'],
  async *stream({ messages }): AsyncGenerator<ModelPart> {
    for (const { role, parts = [], text } of messages) {
      yield `${role}:${text}`
      for (const part of parts)
        if (part.type === 'file') yield `<${part.mediaType} ${part.name ?? ''} ${Buffer.from(await part.read()).toString('hex')}>`
      yield '|'
    }
  },
}

async function start(options: MillraceOptions = {}, lose = 0) {
  const server = await startServer({ dialects: ['openai'], models: [viewer], model: 'viewer', ...options })
  let lost = 0
  const client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: 'none',
    fetch: async (address, init) => {
      const response = await fetch(address, init)
      if (lost++ >= lose) return response
      await response.arrayBuffer()
      throw new TypeError('fetch failed')
    },
  })
  const sessions = async () => (await server.millrace.sessions.list({ limit: 10 })).sessions
  return { ...server, client, sessions }
}

const picture = { type: 'image_url' as const, image_url: { url } }
const asking = (content: object[], model = 'viewer') => ({
  model,
  messages: [{ role: 'user' as const, content: content as never }],
})

describe('files in a question', () => {
  it('are kept in its session, and the model gets their bytes', async () => {
    const { client, millrace, sessions } = await start()
    const { choices } = await client.chat.completions.create(asking([{ type: 'text', text: 'What is it?' }, picture]))
    expect(choices[0]?.message.content).toBe(`user:What is it?<image/png  ${png.toString('hex')}>|`)
    const [session] = await sessions()
    expect((await millrace.readSession(session?.id ?? ''))?.runs[0]?.messages?.[0]?.content).toMatchObject([
      { type: 'text', text: 'What is it?' },
      { type: 'file', mediaType: 'image/png', size: png.length, file: expect.stringMatching(/^\w+-\d+$/) },
    ])
  })

  it('of a response are there for those that follow it', async () => {
    const { client } = await start()
    const pdf = Buffer.from('%PDF-1.4')
    const file = {
      type: 'input_file' as const,
      filename: 'a.pdf',
      file_data: `data:application/pdf;base64,${pdf.toString('base64')}`,
    }
    const image = { type: 'input_image' as const, image_url: url, detail: 'auto' as const }
    const first = await client.responses.create({ model: 'viewer', input: [{ role: 'user', content: [image, file] }] })
    const seen = `user:<image/png  ${png.toString('hex')}><application/pdf a.pdf ${pdf.toString('hex')}>|`
    expect(first.output_text).toBe(seen)
    const next = await client.responses.create({ model: 'viewer', input: 'And?', previous_response_id: first.id })
    expect(next.output_text).toBe(`${seen}assistant:${seen}|user:And?|`)
    const helper = client.responses.stream({ model: 'viewer', input: [{ role: 'user', content: [image] }] })
    expect((await helper.finalResponse()).output_text).toContain('image/png')
  })

  it('are kept once by a request that the client repeats', async () => {
    const { client, sessions, millrace } = await start({}, 2)
    const { id } = await client.chat.completions.create(asking([picture]))
    expect(await sessions()).toHaveLength(1)
    const session = /^chatcmpl_([^.]+)/.exec(id)?.[1] ?? ''
    const { head } = (await millrace.engine.inspect(session)) ?? {}
    const { events } = await millrace.engine.read(session, { epoch: head?.epoch ?? '', offset: 0 })
    expect(events.filter(({ type }) => type === 'upload')).toHaveLength(1)
    expect(events.filter(({ type }) => type === 'stream_start')).toHaveLength(1)
  })

  it.each([
    ['that the model does not take', [picture], 'sim:count', 400, 'file_not_supported'],
    [
      'that are not what they say',
      [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }],
      'viewer',
      415,
      'file_type_mismatch',
    ],
    [
      'of a type that the server does not take',
      [{ type: 'image_url', image_url: { url: 'data:application/x-sh;base64,AAAA' } }],
      'viewer',
      415,
      'file_type_not_allowed',
    ],
    [
      'without bytes',
      [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }],
      'viewer',
      400,
      'file_not_supported',
    ],
    ['that were uploaded elsewhere', [{ type: 'file', file: { file_id: 'file-1' } }], 'viewer', 400, 'file_not_supported'],
  ])('%s are rejected, and nothing is left of them', async (_what, content, model, status, code) => {
    const { client, sessions } = await start()
    await expect(client.chat.completions.create(asking(content, model))).rejects.toMatchObject({ status, code })
    expect(await sessions()).toEqual([])
  })

  it('need the permission to upload', async () => {
    const { client, sessions } = await start({ access: { tokens: { secret } } })
    const token = await sign({ millrace: { may: ['run.start', 'session.read'] } })
    const limited = client.withOptions({ apiKey: token })
    await expect(limited.chat.completions.create(asking([picture]))).rejects.toMatchObject({ status: 403, code: 'forbidden' })
    expect(await sessions()).toEqual([])
    const allowed = client.withOptions({ apiKey: await sign() })
    expect((await allowed.chat.completions.create(asking([picture]))).choices[0]?.message.content).toContain('image/png')
  })
})
