/** PROTOCOL.md, the OpenAPI document, the guides and the types name the same routes, fields, events, errors and limits. */
import { globSync, readFileSync } from 'node:fs'
import {
  type ClientMessage,
  closeCodeOf,
  closeCodes,
  errors,
  limits,
  type ServerMessage,
  type SessionEventType,
} from '@millrace/protocol'
import { createMillrace } from 'millrace'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'

const root = new URL('../../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const protocol = read('PROTOCOL.md')

/** The text from one heading to the next of the same level or above. */
function section(heading: string, text = protocol): string {
  const [, rest] = text.split(`\n${heading}\n`)
  if (rest === undefined) throw new Error(`PROTOCOL.md has no heading "${heading}".`)
  const level = heading.indexOf(' ')
  return rest.split(new RegExp(`^#{1,${level}} `, 'm'))[0] as string
}

/** The cells of each row of the tables in a text, without the heads. */
function rows(text: string): string[][] {
  const lines = text.split('\n')
  return lines
    .filter((line, at) => line.startsWith('| ') && !lines[at + 1]?.startsWith('|--'))
    .map((line) => line.slice(2, -2).split(' | '))
}

const documents = ['PROTOCOL.md', ...globSync(['README*.md', 'docs/guides/*.md', 'packages/*/README.md'], { cwd: root })]
/** What `find` finds in each file, with the file. */
const findIn = (files: readonly string[], find: (text: string) => readonly string[]) =>
  files.flatMap((file) => find(read(file)).map((found) => [file, found] as const))

const codesIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code as string)
/** Names of parameters differ: `:id` and `{run}` are the same place. */
const normalize = (route: string) => route.replace(/:\w+|\{\w+\}/g, ':id').replace(/\?.*/, '')

interface Operation {
  readonly parameters: { readonly name: string; readonly in: string; readonly schema: { readonly maxItems?: number } }[]
  readonly requestBody?: {
    readonly content: { readonly 'application/json': { readonly schema: { readonly properties?: object } } }
  }
}

let operations: Map<string, Operation>

beforeAll(async () => {
  const millrace = createMillrace({ model: 'sim:count' })
  const response = await millrace.fetch(new Request('http://localhost/api/openapi.json'))
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, Operation>> }
  await millrace.close()
  operations = new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${normalize(path)}`, operation]),
    ),
  )
})

describe('routes', () => {
  /** Routes that serve documents, or that HTTP only upgrades: OpenAPI does not describe them. */
  const others = ['GET /api/openapi.json', 'GET /ws/chat']
  const routesIn = (text: string) =>
    [...text.matchAll(/\b(GET|POST|PATCH|DELETE|PUT) (\/[\w/:{}.-]+)/g)].map(
      ([, method, path]) => `${method} ${normalize(path as string)}`,
    )

  it('of the overview in PROTOCOL.md are those of OpenAPI', () => {
    const overview = rows(section('## HTTP').split('\n### ')[0] as string).flatMap(([request = '']) => routesIn(request))
    expect(overview.sort()).toEqual([...operations.keys()].sort())
  })

  it('each have a heading or a paragraph of their own in PROTOCOL.md', () => {
    const text = section('## HTTP').split('\n### ').slice(1).join('\n### ')
    expect(routesIn(text)).toEqual(expect.arrayContaining([...operations.keys()]))
  })

  it('that the documents name exist', async () => {
    const known = [...operations.keys(), ...others]
    const millrace = createMillrace({
      model: 'sim:count',
      dialects: ['ai-sdk', 'openai', 'ag-ui', 'tanstack', 'durable-streams', 'anthropic'],
    })
    onTestFinished(() => millrace.close())
    /** Dialects are not in OpenAPI: the server says which methods an address has. */
    const exists = async (route: string) => {
      const [method = '', path = ''] = route.replace(/:id/g, 'x').split(' ')
      const response = await millrace.fetch(new Request(`http://localhost${path}`, { method: 'PATCH' }))
      return response.headers.get('allow')?.split(', ').includes(method) === true
    }
    const named = findIn(documents, routesIn).filter(([, route]) => !known.includes(route))
    const found = await Promise.all(named.map(async ([file, route]) => ({ file, route, exists: await exists(route) })))
    expect(found.filter((one) => !one.exists)).toEqual([])
  })

  it('have every field of OpenAPI in PROTOCOL.md', () => {
    const sections: Record<string, string> = {
      'GET /api/chat': section('### `GET /api/chat?query=…` and `POST /api/chat`'),
      'GET /api/stream': section('### `GET /api/stream`'),
      'GET /api/doctor': section('### `GET /api/doctor`'),
      'POST /api/heartbeat': section('### `POST /api/heartbeat`'),
      'POST /api/runs': section('### Producers'),
      'POST /api/runs/:id/stop': section('### `POST /api/runs/:id/stop`'),
      'POST /api/runs/:id/continue': section('### `POST /api/runs/:id/continue`'),
      'POST /api/runs/:id/decisions': section('### `POST /api/runs/:id/decisions` and `POST /api/runs/:id/tool-results`'),
      'POST /api/runs/:id/regenerate': section('### `POST /api/runs/:id/regenerate`'),
      'GET /api/sessions': section('#### `GET /api/sessions`'),
      'POST /api/sessions': section('#### `POST /api/sessions` and `GET /api/sessions/:id`'),
      'PATCH /api/sessions/:id': section('#### `PATCH /api/sessions/:id` and `DELETE /api/sessions/:id`'),
      'GET /api/sessions/:id/export': section('#### `GET /api/sessions/:id/export`'),
      'POST /api/sessions/:id/shares': section('#### `POST /api/sessions/:id/shares`'),
      'POST /api/files': section('### `POST /api/files`'),
      'GET /api/files/:id/:id': section('### `GET /api/files/:session/:position`'),
      'POST /api/sessions/:id/queue': section('### The queue'),
      'PATCH /api/sessions/:id/queue/:id': section('### The queue'),
      'POST /api/sessions/:id/queue/:id/move': section('### The queue'),
      'POST /api/publish': section('### Channels'),
      'POST /api/tickets': section('### `POST /api/tickets`'),
    }
    sections['POST /api/chat'] = sections['GET /api/chat'] as string
    sections['POST /api/runs/:id/tool-results'] = sections['POST /api/runs/:id/decisions'] as string
    const admin = section('### Admin API')
    for (const [route, { parameters, requestBody }] of operations) {
      const inBody = Object.keys(requestBody?.content['application/json']?.schema.properties ?? {})
      const fields = [...parameters.filter(({ in: place }) => place !== 'path').map(({ name }) => name), ...inBody]
      const named = new Set(
        codesIn(sections[route] ?? (route.includes('/api/admin/') ? admin : '')).flatMap((code) => code.match(/\w+/g) ?? []),
      )
      expect([route, fields.filter((field) => !named.has(field))]).toEqual([route, []])
    }
  })
})

describe('events', () => {
  const types: Record<SessionEventType | 'gap', true> = {
    stream_start: true,
    message: true,
    reasoning: true,
    tool_call_start: true,
    tool_call_delta: true,
    tool_call: true,
    tool_result: true,
    approval_request: true,
    tool_decision: true,
    source: true,
    step_end: true,
    data: true,
    file: true,
    file_data: true,
    upload: true,
    lane_end: true,
    stream_end: true,
    queue_added: true,
    queue_changed: true,
    queue_moved: true,
    queue_removed: true,
    gap: true,
  }

  it('of the types are those of the table in PROTOCOL.md', () => {
    const table = rows(section('## Events').split('\n### ')[0] as string).filter(([cell]) => cell?.startsWith('`'))
    expect(table.map(([cell = '']) => codesIn(cell)[0])).toEqual(Object.keys(types))
  })
})

describe('messages of a WebSocket', () => {
  const up: Record<Extract<ClientMessage, { type: string }>['type'], true> = {
    run: true,
    continue: true,
    regenerate: true,
    decide: true,
    tool_results: true,
    queue: true,
    queue_change: true,
    queue_move: true,
    queue_remove: true,
    attach: true,
    detach: true,
    ack: true,
    publish: true,
    stop: true,
    ping: true,
    renew: true,
  }
  const down: Record<ServerMessage['type'], true> = {
    event: true,
    started: true,
    decided: true,
    queued: true,
    attached: true,
    detached: true,
    acknowledged: true,
    published: true,
    ended: true,
    pong: true,
    heartbeat: true,
    renew: true,
    renewed: true,
    error: true,
  }
  const typesIn = (text: string) => [...text.matchAll(/"type":"(\w+)"/g)].map(([, type]) => type as string)

  it('are those of the tables in PROTOCOL.md', () => {
    const table = rows(section('### Messages with a type'))
    const fromServer = ['event', 'error', 'heartbeat', 'renew']
    const sent = table.flatMap(([cell = '']) => typesIn(cell))
    expect(sent).toEqual([...Object.keys(up), ...fromServer])
    const answered = table.flatMap(([, cell = '']) => typesIn(cell))
    expect(new Set([...answered, ...fromServer])).toEqual(new Set(Object.keys(down)))
  })
})

describe('errors', () => {
  const named = rows(section('## Errors')).flatMap(([status, retryable, closeCode, codes = '']) =>
    codesIn(codes).map((code) => [
      code,
      { status: Number(status), retryable: retryable === 'yes', closeCode: Number(closeCode) },
    ]),
  )

  it('have the status, the decision to retry and the close code of the table in PROTOCOL.md', () => {
    const table = Object.entries(errors).map(([code, error]) => [
      code,
      { status: error.status, retryable: error.retryable, closeCode: closeCodeOf(error) },
    ])
    expect(Object.fromEntries(named)).toEqual(Object.fromEntries(table))
  })

  it('that the documents name with a status have this status', () => {
    const statuses = (text: string) => [...text.matchAll(/\b([45]\d\d) `(\w+)`/g)].map(([, status, code]) => `${status} ${code}`)
    const known = Object.entries(errors).map(([code, { status }]) => `${status} ${code}`)
    // The state in the response of `GET /readyz`, whose status differs from that of the error.
    const states = ['503 engine_failed']
    expect(findIn(documents, statuses).filter(([, error]) => ![...known, ...states].includes(error))).toEqual([])
  })

  it('are each one sentence that ends with what to do', () => {
    for (const [code, { message }] of Object.entries(errors)) {
      expect([code, message]).toEqual([code, expect.stringMatching(/^[A-Z].*[;,] .*\.$/)])
    }
  })
})

it('has every close code of the server and of the guides', () => {
  const table = rows(section('### Close codes')).flatMap(([codes = '']) => codes.match(/\d{4}/g) ?? [])
  expect(table.map(Number)).toEqual(expect.arrayContaining(Object.values(closeCodes)))
  const bounds = ['4499', '4500']
  const named = findIn(documents, (text) => text.match(/\b4[45]\d\d\b/g) ?? [])
  expect(named.filter(([, code]) => !table.includes(code) && !bounds.includes(code) && !isOfError(code))).toEqual([])
})

function isOfError(code: string): boolean {
  return Object.values(errors).some((error) => closeCodeOf(error) === Number(code))
}

describe('limits', () => {
  const mebibyte = `${limits.bodyBytesMax / 1_048_576} MiB`
  /** Each limit of the protocol package: its row, and how the row begins. */
  const expected: Record<keyof typeof limits, readonly [row: string, maximum: string]> = {
    queryLengthMax: ['query', `${limits.queryLengthMax.toLocaleString('en')} characters`],
    messagesMax: ['parts of these messages, of which a string is one', limits.messagesMax.toLocaleString('en')],
    messagesBytesMax: ['messages of one run as JSON', `${limits.messagesBytesMax / 1024} KiB`],
    instructionsLengthMax: ['instructions', `${limits.instructionsLengthMax.toLocaleString('en')} characters`],
    paramsBytesMax: ['`params`', `${limits.paramsBytesMax / 1024} KiB as JSON`],
    providerBytesMax: ['`params.provider`', `${limits.providerBytesMax / 1024} KiB as JSON`],
    toolsMax: ['`tools`', `${limits.toolsMax}`],
    toolsBytesMax: ['`tools` as JSON', `${limits.toolsBytesMax / 1024} KiB`],
    metadataKeysMax: ['`metadata`', `${limits.metadataKeysMax} keys`],
    metadataKeyLengthMax: ['a key of `metadata`', `${limits.metadataKeyLengthMax} characters`],
    metadataValueLengthMax: ['a value of `metadata`', `${limits.metadataValueLengthMax} characters`],
    bodyBytesMax: ['body', mebibyte],
    headerBytesMax: ['request line and headers', `${limits.headerBytesMax / 1024} KiB`],
    idLengthMax: ['session and run ids', `${limits.idLengthMax} characters`],
    modelLengthMax: ['model name', `${limits.modelLengthMax} characters`],
    channelLengthMax: ['channel name', `${limits.channelLengthMax} characters`],
    lanesMax: ['lanes in one run', `${limits.lanesMax}`],
    eventBytesMax: ['one event on the wire', `${limits.eventBytesMax / 1_048_576} MiB`],
    fileBytesMax: ['one file in an answer', `${limits.fileBytesMax.toLocaleString('en')} bytes`],
    pieceBytes: ['a piece of an upload', `${limits.pieceBytes / 1024} KiB`],
    filesMax: ['files of one question', `${limits.filesMax}`],
    filesBytesMax: ['bytes of all files that a model gets with it', `${limits.filesBytesMax / 1_048_576} MiB`],
    fileNameLengthMax: ['name of a file', `${limits.fileNameLengthMax} characters`],
    waitingBytesMax: ['queued messages of one WebSocket', `${limits.waitingBytesMax / 1_048_576} MiB`],
  }
  const table = new Map(rows(section('## Limits')).map(([name = '', maximum = '']) => [name, maximum]))

  it.each(Object.entries(expected))('%s is in PROTOCOL.md', (_limit, [row, maximum]) => {
    expect(table.get(row)).toMatch(new RegExp(`^${maximum}\\b`))
  })

  it('of logs in one stream is the one of OpenAPI', () => {
    const session = operations.get('GET /api/stream')?.parameters.find(({ name }) => name === 'session')
    expect(table.get('logs in one stream or long-poll')).toBe(`${session?.schema.maxItems}`)
  })

  it('of PROTOCOL.md are compared here, unless one part of the server alone enforces them or they are options', () => {
    const others = [
      'requests on one connection that wait for an earlier response',
      'logs in one stream or long-poll',
      'one WebSocket message',
      'servers named in heartbeat answers from one address',
      'the arguments, and the result, of one call',
    ]
    // Those are compared in limits-document.test.ts.
    const fixed = [...table.keys()].filter((row) => !row.endsWith('(configurable)'))
    expect(fixed.sort()).toEqual([...Object.values(expected).map(([row]) => row), ...others].sort())
  })
})

it('has every heading that a source file or another document cites', () => {
  const text = protocol.replace(/^```.*?^```$/gms, '')
  const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  )
  const files = globSync(['{packages,apps,conformance}/**/*.{ts,tsx}', 'docs/**/*.md', '*.md'], {
    cwd: root,
    exclude: (name) => /(^|\/)(node_modules|dist)$/.test(name),
  })
  const cited = findIn(files, (each) => [...each.matchAll(/PROTOCOL\.md#([\w-]+)/g)].map(([, anchor]) => anchor as string))
  expect(cited.length).toBeGreaterThan(30)
  expect(cited.filter(([, anchor]) => !anchors.includes(anchor))).toEqual([])
})
