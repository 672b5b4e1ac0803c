/** The OpenAPI document, made from the routes and the schemas that validate their requests. */
import { z } from 'zod'
import { answers } from './responses.ts'
import type { Route } from './route.ts'

type Schema = Record<string, unknown>

export function openApiDocument(routes: readonly Route[], version: string): Schema {
  const paths: Record<string, Record<string, Schema>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version,
      description: 'Every stream is a cursor over a log: it can be cut anywhere and read on from the last position seen.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    // An open server accepts requests without credentials.
    security: [{ bearer: [] }, {}],
    components: {
      schemas: { Error: toSchema(answers.error, 'output') },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A JSON Web Token, or an API key of a server' },
        ticket: { type: 'apiKey', in: 'query', name: 'ticket', description: 'A ticket of POST /api/tickets, used once' },
      },
    },
  }
}

function operation({
  summary,
  params,
  query,
  body,
  answers: expected,
  takesBytes,
  isPublic,
  acceptsTicket,
  isAdmin,
}: Route): Schema {
  return {
    summary,
    ...(isPublic && { security: [] }),
    ...(isAdmin && { tags: ['admin'], security: [{ bearer: [] }] }),
    ...(acceptsTicket && { security: [{ bearer: [] }, { ticket: [] }, {}] }),
    parameters: [...parameters('path', params), ...parameters('query', query)],
    ...(takesBytes && { requestBody: { content: anyBytes } }),
    ...(body && { requestBody: { required: true, content: json(toSchema(body, 'input')) } }),
    responses: {
      ...Object.fromEntries(Object.entries(expected).map(([status, answer]) => [status, response(answer)])),
      '4XX': { description: 'What was wrong with the request', content: json({ $ref: '#/components/schemas/Error' }) },
      '5XX': { description: 'What went wrong here', content: json({ $ref: '#/components/schemas/Error' }) },
    },
  }
}

function parameters(place: 'path' | 'query', schema: z.ZodObject | undefined): Schema[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = toSchema(schema, 'input') as {
    properties?: Record<string, Schema>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }))
}

function response(answer: Route['answers'][number]): Schema {
  if (answer === 'nothing') return { description: 'There is nothing more to read' }
  if (answer === 'stream') {
    return {
      description: 'Server-sent events, as in PROTOCOL.md',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    }
  }
  if (answer === 'bytes') return { description: 'The file', content: anyBytes }
  if (answer === 'text') return { description: 'Success', content: { 'text/plain': { schema: { type: 'string' } } } }
  return { description: 'Success', content: json(toSchema(answer, 'output')) }
}

const anyBytes = { '*/*': { schema: { type: 'string', format: 'binary' } } }

const json = (schema: Schema): Schema => ({ 'application/json': { schema } })

function toSchema(schema: z.ZodType, io: 'input' | 'output'): Schema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}
