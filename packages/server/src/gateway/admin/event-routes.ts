/** The events of one session or channel, and publishing: PROTOCOL.md#admin-api. */
import { formatPosition, MillraceError, type Position, parsePosition } from '@millrace/protocol'
import { z } from 'zod'
import type { Channels } from '../../channels/channels.ts'
import type { Engine, LogEvent } from '../../log/log.ts'
import { answers } from '../responses.ts'
import type { RouteRequest } from '../route.ts'
import { publication } from '../schemas.ts'
import type { AdminRoute } from './admin-route.ts'
import { formatBounds, kindOf } from './log-routes.ts'
import { bounds } from './schemas.ts'

export interface AdminEventRoutesOptions {
  readonly engine: Engine
  readonly channels: Pick<Channels, 'publish'>
}

const eventsQuery = z.object({
  log: z.string().min(1).max(160).describe('A session by its id, a channel as `channel/` and its name'),
  from: z.string().max(200).default('start').describe('`start`, or a position: `position` of the page before'),
  last: z.coerce.number().int().min(1).max(200).optional().describe('Instead of `from`: this number of the newest events'),
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Length of the page'),
})

const event = z.object({ id: z.string(), event: z.string(), data: z.json(), time: z.number() })
const eventsAnswer = z.object({
  events: z.array(event),
  position: z.string().describe('Where the next page begins'),
  ...bounds,
  gap: z.object({ from: z.string(), to: z.string() }).optional().describe('Events that retention has removed'),
})

export function createAdminEventRoutes({ engine, channels }: AdminEventRoutesOptions): AdminRoute[] {
  return [
    {
      method: 'get',
      path: '/api/admin/events',
      summary: 'A page of the events of a session or channel',
      action: 'admin.content',
      query: eventsQuery,
      answers: { 200: eventsAnswer },
      handle: async ({ input }: RouteRequest<z.output<typeof eventsQuery>>) => ({ status: 200, json: await readEvents(input) }),
    },
    {
      method: 'post',
      path: '/api/admin/publish',
      summary: 'Append an event to a channel, whatever its rules',
      action: 'admin.publish',
      unrecorded: ['data'],
      body: publication,
      answers: { 200: answers.published },
      async handle({ input }: RouteRequest<z.output<typeof publication>>) {
        const { position, duplicate } = await channels.publish(input)
        return { status: 200, json: { channel: input.channel, position: formatPosition(position), duplicate } }
      },
    },
  ]

  /** Without recovery: looking at a log does not write to it. */
  async function readEvents({ log, from, last, limit }: z.output<typeof eventsQuery>) {
    // Keys, tickets and the messages of servers are among these.
    if (kindOf(log) === 'internal')
      throw new MillraceError('forbidden', { message: 'This log is internal to the servers; read sessions and channels only.' })
    const state = await engine.inspect(log)
    if (state === undefined) throw new MillraceError('session_not_found')
    const { epoch, offset } = state.head
    const after = last === undefined ? startOf(from, state.start) : { epoch, offset: Math.max(state.start.offset, offset - last) }
    const page = await engine.read(log, after, { eventsMax: last ?? limit })
    return {
      events: page.events.map((event) => toJson(event, epoch)),
      position: formatPosition(page.position),
      ...formatBounds({ start: state.start, head: page.head }),
      ...(page.gap && { gap: { from: formatPosition(page.gap.from), to: formatPosition(page.gap.to) } }),
    }
  }
}

function startOf(from: string, start: Position): Position {
  const position = from === 'start' ? start : parsePosition(from)
  if (position === undefined) throw new MillraceError('position_invalid')
  return position
}

function toJson({ type, data, offset, time }: LogEvent, epoch: string) {
  const value = data instanceof Uint8Array ? { $binary: Buffer.from(data).toString('base64') } : data
  return { id: formatPosition({ epoch, offset }), event: type, data: value, time }
}
