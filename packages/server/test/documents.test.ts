import { errors } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { startServer } from './support/server.ts'

interface Operation {
  readonly parameters: { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: object }[]
  readonly requestBody?: {
    readonly content: { readonly 'application/json': { readonly schema: { readonly properties: object } } }
  }
  readonly responses: Record<string, object>
  readonly security?: readonly object[]
}

describe('the documentation that the server serves', () => {
  it('describes every route in OpenAPI 3.1, from the schemas that validate', async () => {
    const { url } = await startServer()
    const document = (await (await fetch(`${url}/api/openapi.json`)).json()) as {
      openapi: string
      paths: Record<string, Record<string, Operation>>
    }
    expect(document.openapi).toBe('3.1.0')
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    )
    expect(operations.filter((operation) => !operation.includes('/api/admin/')).sort()).toEqual([
      'delete /api/sessions/{id}',
      'delete /api/sessions/{id}/shares/{share}',
      'delete /api/sessions/{session}/queue/{entry}',
      'delete /api/uploads/{session}/{upload}',
      'get /api/chat',
      'get /api/doctor',
      'get /api/files/{session}/{position}',
      'get /api/models',
      'get /api/sessions',
      'get /api/sessions/{id}',
      'get /api/sessions/{id}/export',
      'get /api/sessions/{id}/instructions',
      'get /api/sessions/{id}/shares',
      'get /api/stream',
      'get /api/uploads/{session}/{upload}',
      'get /healthz',
      'get /metrics',
      'get /readyz',
      'get /ws/chat',
      'patch /api/sessions/{id}',
      'patch /api/sessions/{session}/queue/{entry}',
      'patch /api/uploads/{session}/{upload}',
      'post /api/chat',
      'post /api/connections/{id}/renew',
      'post /api/files',
      'post /api/heartbeat',
      'post /api/publish',
      'post /api/runs',
      'post /api/runs/{id}/decisions',
      'post /api/runs/{id}/stop',
      'post /api/runs/{id}/tool-results',
      'post /api/runs/{run}/continue',
      'post /api/runs/{run}/regenerate',
      'post /api/sessions',
      'post /api/sessions/{id}/shares',
      'post /api/sessions/{session}/queue',
      'post /api/sessions/{session}/queue/{entry}/move',
      'post /api/tickets',
    ])
    const chat = document.paths['/api/chat']?.get as Operation
    expect(chat.parameters.find(({ name }) => name === 'query')).toMatchObject({
      in: 'query',
      required: true,
      schema: { type: 'string', maxLength: 32_768 },
    })
    expect(chat.parameters.filter(({ required }) => required)).toHaveLength(1)
    const post = document.paths['/api/chat']?.post as Operation
    expect(Object.keys(post.requestBody?.content['application/json'].schema.properties ?? {}).sort()).toEqual([
      'events',
      'id',
      'instructions',
      'messages',
      'metadata',
      'model',
      'models',
      'params',
      'parent',
      'parentLane',
      'query',
      'session',
      'tools',
    ])
    for (const methods of Object.values(document.paths)) {
      for (const { responses } of Object.values(methods)) expect(Object.keys(responses)).toContain('4XX')
    }
  })

  it('describes the credentials of each route', async () => {
    const { url } = await startServer()
    const { paths, security, components } = (await (await fetch(`${url}/api/openapi.json`)).json()) as {
      paths: Record<string, Record<string, Operation>>
      security: object[]
      components: { securitySchemes: object }
    }
    expect(Object.keys(components.securitySchemes)).toEqual(['bearer', 'ticket'])
    expect(security).toEqual([{ bearer: [] }, {}])
    const different = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { security: own }]) => (own ? [[`${method} ${path}`, own] as const] : [])),
    )
    const ofAdmin = different.filter(([operation]) => operation.includes('/api/admin/'))
    for (const [, own] of ofAdmin) expect(own).toEqual([{ bearer: [] }])
    expect(ofAdmin).toHaveLength(
      Object.entries(paths).flatMap(([path, methods]) => (path.startsWith('/api/admin/') ? Object.keys(methods) : [])).length,
    )
    const withTicket = [{ bearer: [] }, { ticket: [] }, {}]
    expect(Object.fromEntries(different.filter((each) => !ofAdmin.includes(each)))).toEqual({
      'get /api/chat': withTicket,
      'get /api/doctor': [],
      'get /api/stream': withTicket,
      'get /healthz': [],
      'get /readyz': [],
      'get /ws/chat': withTicket,
    })
  })

  it('responds as OpenAPI promises', async () => {
    const { url } = await startServer()
    const { default: name, models } = (await (await fetch(`${url}/api/models`)).json()) as {
      default: string
      models: { name: string; languageModel: boolean; accepts: string[] }[]
    }
    expect(Object.fromEntries(models.map((model) => [model.name, model.accepts]))).toMatchObject({
      'sim:echo': ['*/*'],
      'sim:count': [],
      'builtin:guide': [],
    })
    expect(name).toBe('sim:count?n=5&tps=0')
    expect(
      models
        .filter(({ name }) => name.startsWith('sim:') || name.startsWith('builtin:'))
        .every(({ languageModel }) => !languageModel),
    ).toBe(true)
    const created = await fetch(`${url}/api/sessions`, { method: 'POST' })
    const { id } = (await created.json()) as { id: string }
    expect([created.status, id]).toEqual([201, expect.stringMatching(/^[A-Za-z0-9_-]{22}$/)])
    const again = await fetch(`${url}/api/sessions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id }),
    })
    expect([again.status, await again.json()]).toEqual([200, { id }])
    expect(await (await fetch(`${url}/api/sessions/${id}`)).json()).toEqual({
      id,
      queue: [],
      isPaused: false,
      position: expect.stringMatching(/-0$/),
      complete: true,
      runs: [],
    })
  })

  it('explains every error at the address that its docs name', async () => {
    const { url } = await startServer()
    const page = await (await fetch(`${url}/docs/errors`)).text()
    expect([...page.matchAll(/<tr id="(\w+)">/g)].map(([, code]) => code)).toEqual(Object.keys(errors))
  })
})
