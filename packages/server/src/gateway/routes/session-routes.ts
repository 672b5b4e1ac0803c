/** Routes of sessions. PROTOCOL.md#http. */
import { encodeJson, MillraceError } from '@millrace/protocol'
import type { z } from 'zod'
import { includes } from '../../access/actions.ts'
import type { Check } from '../../access/authorize.ts'
import type { Caller } from '../../access/caller.ts'
import { type ListedFor, ownerOf } from '../../access/ownership.ts'
import type { Engine } from '../../log/log.ts'
import { createSession } from '../../sessions/create-session.ts'
import { toMarkdown, withoutBranches } from '../../sessions/export.ts'
import type { History } from '../../sessions/history.ts'
import type { Instructions } from '../../sessions/instructions.ts'
import type { Records } from '../../sessions/records.ts'
import type { Transcripts } from '../../sessions/transcripts.ts'
import { answers } from '../responses.ts'
import type { Route, RouteRequest } from '../route.ts'
import { changeBody, exportQuery, idParam, sessionBody, sessionsQuery } from '../schemas.ts'

export interface SessionRoutesOptions {
  readonly engine: Engine
  readonly history: History
  readonly instructions: Instructions
  readonly transcripts: Transcripts
  readonly authorize: Check
  readonly records: Pick<Records, 'claim'>
  /** Whose sessions the list has. */
  readonly listedFor: ListedFor
  readonly newId: () => string
}

export function createSessionRoutes(options: SessionRoutesOptions): Route[] {
  const { engine, history, transcripts, authorize, listedFor, newId } = options
  return [
    {
      method: 'get',
      path: '/api/sessions',
      summary: 'Sessions, most recently used first',
      isForStopping: true,
      query: sessionsQuery,
      answers: { 200: answers.sessions },
      async handle({ input, caller }: RouteRequest<z.output<typeof sessionsQuery>>) {
        await authorize(caller, 'session.list', { session: undefined })
        const { isAll, owner } = listedFor(caller.principal)
        if (!isAll && owner === undefined) return { status: 200, json: { sessions: [] } }
        const isVisible = (session: string, of: string | undefined) => mayRead(authorize, caller, session, of)
        return { status: 200, json: await history.list({ ...input, owner: isAll ? undefined : owner, isVisible }) }
      },
    },
    {
      method: 'post',
      path: '/api/sessions',
      summary: 'Create a session, if it does not exist',
      body: sessionBody,
      answers: { 200: answers.session, 201: answers.session },
      async handle({ input, caller }: RouteRequest<z.output<typeof sessionBody>>) {
        const owner = input.owner ?? ownerOf(caller.principal)
        if (input.owner !== undefined && !includes(caller.principal.may ?? [], 'ticket.create'))
          throw new MillraceError('forbidden', { message: 'You may not create sessions for others; leave out `owner`.' })
        const id = input.id ?? newId()
        // Before its owner is asked for: one that is created meanwhile has an owner then.
        const existed = (await engine.inspect(id)) !== undefined
        await authorize(caller, 'session.create', { session: input.id })
        if (!existed) await createSession(options, id, owner)
        return { status: existed ? 200 : 201, json: { id } }
      },
    },
    {
      method: 'get',
      path: '/api/sessions/:id',
      summary: 'The conversation so far, and the position to read on from',
      isForStopping: true,
      params: idParam,
      answers: { 200: answers.transcript },
      async handle({ input, caller }: RouteRequest<{ id: string }>) {
        await authorize(caller, 'session.read', { session: input.id })
        const transcript = await transcripts.read(input.id)
        if (transcript === undefined) throw new MillraceError('session_not_found')
        return { status: 200, json: transcript }
      },
    },
    ...createChangeRoutes(options),
    {
      method: 'delete',
      path: '/api/sessions/:id',
      summary: 'Stop the runs of a session, and delete it with its conversation',
      params: idParam,
      answers: { 200: answers.session },
      async handle({ input, caller }: RouteRequest<{ id: string }>) {
        await authorize(caller, 'session.delete', { session: input.id })
        await history.delete(input.id)
        return { status: 200, json: { id: input.id } }
      },
    },
    {
      method: 'get',
      path: '/api/sessions/:id/export',
      summary: 'The conversation as a file',
      isForStopping: true,
      params: idParam,
      query: exportQuery,
      answers: { 200: answers.exported },
      async handle({ input, caller }: RouteRequest<{ id: string } & z.output<typeof exportQuery>>) {
        const { id, format, branches, through } = input
        await authorize(caller, 'session.read', { session: id })
        const { title, transcript: all } = await history.read(id)
        const transcript = branches === 'all' ? all : withoutBranches(all, through)
        const [type, ending, text] =
          format === 'json'
            ? ['application/json', 'json', encodeJson({ title, ...transcript }, 2)]
            : ['text/markdown; charset=utf-8', 'md', toMarkdown(title, transcript)]
        // An id has no character with a meaning in a header or a file system.
        const headers = { 'content-type': type, 'content-disposition': `attachment; filename="${id}.${ending}"` }
        return { status: 200, text, headers }
      },
    },
  ]
}

/** The title of a session, and the instructions of its models. */
function createChangeRoutes({ history, instructions, authorize }: SessionRoutesOptions): Route[] {
  return [
    {
      method: 'patch',
      path: '/api/sessions/:id',
      summary: 'Rename a session, or change the instructions of its models',
      params: idParam,
      body: changeBody,
      answers: { 200: answers.listedSession },
      async handle({ input, caller }: RouteRequest<{ id: string } & z.output<typeof changeBody>>) {
        const { id, title, instructions: text } = input
        if (title === undefined && text === undefined)
          throw new MillraceError('invalid_request', { message: 'Nothing to change.' })
        if (text !== undefined) await authorize(caller, 'session.instruct', { session: id })
        if (title !== undefined) await authorize(caller, 'session.rename', { session: id })
        if (text !== undefined) await instructions.set(id, text)
        return { status: 200, json: title === undefined ? await history.describe(id) : await history.rename(id, title) }
      },
    },
    {
      method: 'get',
      path: '/api/sessions/:id/instructions',
      summary: 'What the models of a session get before the conversation',
      isForStopping: true,
      params: idParam,
      answers: { 200: answers.instructions },
      async handle({ input, caller }: RouteRequest<{ id: string }>) {
        await authorize(caller, 'session.instruct', { session: input.id })
        return { status: 200, json: { instructions: await instructions.read(input.id) } }
      },
    },
  ]
}

/** A session is listed only for callers that may read it, because its title tells what it is about. */
async function mayRead(authorize: Check, caller: Caller, session: string, owner: string | undefined): Promise<boolean> {
  try {
    await authorize(caller, 'session.read', { session, ...(owner !== undefined && { owner }) })
    return true
  } catch (error) {
    // A failure of the host's code is not a denial.
    if (error instanceof MillraceError && error.status < 500) return false
    throw error
  }
}
