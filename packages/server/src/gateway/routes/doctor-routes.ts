/**
 * `GET /api/doctor`: a short stream whose times are known, and which headers of its request arrived. `millrace doctor` reads
 * it to see what is between a client and this server. It is for everybody, so it starts nothing, reads no log, repeats
 * nothing of the request, and is bounded in bytes, in time and in number.
 */
import { setTimeout } from 'node:timers/promises'
import { encodeSseComment, encodeSseEvent, MillraceError } from '@millrace/protocol'
import { z } from 'zod'
import type { Caller } from '../../access/caller.ts'
import type { Connection } from '../../transports/connection.ts'
import { eventStreamHeaders } from '../../transports/event-stream.ts'
import type { Route, RouteRequest } from '../route.ts'

export interface DoctorRoutesOptions {
  readonly doctor: { readonly heartbeatMs: number; readonly version: string }
}

/** A buffer that is not flushed holds all ticks back, and they arrive at once. */
const ticks = 5
const tickMs = 300
/** Proxies leave short responses uncompressed, and compress the long ones that a real stream begins with: Caddy from 512 bytes. */
const padding = encodeSseComment(' '.repeat(600))
/** Of this server, from all addresses. */
const openMax = 32

const doctorQuery = z.object({
  check: z
    .enum(['pace', 'silence'])
    .default('pace')
    .describe('`pace` sends some events at short intervals; `silence` sends nothing for as long as a heartbeat takes'),
})

type Check = z.output<typeof doctorQuery>['check']

export function createDoctorRoutes({ doctor: { heartbeatMs, version } }: DoctorRoutesOptions): Route[] {
  let open = 0
  return [
    {
      method: 'get',
      path: '/api/doctor',
      summary: 'A short stream with known times, for `millrace doctor`',
      isPublic: true,
      query: doctorQuery,
      answers: { 200: 'stream' },
      async handle({ input, caller, lastEventId, signal, isHead, connect }: RouteRequest<{ check: Check }>) {
        if (isHead) return { status: 200, text: '', headers: eventStreamHeaders }
        if (open >= openMax) throw new MillraceError('too_many_connections')
        const connection = connect('sse')
        const arrived = { lastEventId: lastEventId !== undefined, ...describe(caller) }
        const first = { version, heartbeatMs, ...arrived }
        open += 1
        const onClosed = () => {
          open -= 1
          connection.close()
        }
        return { stream: openStream({ first, check: input.check, heartbeatMs, connection, signal, onClosed }) }
      },
    },
  ]
}

/** What arrived, without its values. */
function describe({ headers, address, isSecure }: Caller) {
  const hops = headers.get('x-forwarded-for')?.split(/\s*,\s*/) ?? []
  const isBelieved = address !== undefined && hops.includes(address)
  return {
    authorization: headers.has('authorization'),
    forwardedFor: hops.length === 0 ? 'absent' : isBelieved ? 'believed' : 'ignored',
    isSecure,
  }
}

interface StreamOptions {
  readonly first: object
  readonly check: Check
  readonly heartbeatMs: number
  readonly connection: Connection
  /** The client has left. */
  readonly signal: AbortSignal
  /** Called once. */
  readonly onClosed: () => void
}

function openStream({ first, check, heartbeatMs, connection, signal, onClosed }: StreamOptions): ReadableStream<Uint8Array> {
  const ending = new AbortController()
  const either = AbortSignal.any([signal, ending.signal])
  const end = (error: MillraceError) => ending.abort(error)
  const delivered = { events: 0, bytes: 0 }
  connection.serve({
    terminate: end,
    drain: () => end(new MillraceError('server_stopping')),
    requestRenewal() {},
    cursors: [],
    delivered,
  })
  const waits = check === 'pace' ? Array.from({ length: ticks }, () => tickMs) : [heartbeatMs]
  return new ReadableStream({
    async start(controller) {
      const send = (event: string, data: object, before = '') => {
        const bytes = Buffer.from(before + encodeSseEvent({ event, data: JSON.stringify(data) }))
        delivered.events += 1
        delivered.bytes += bytes.length
        controller.enqueue(bytes)
      }
      try {
        send('seen', { ...first, time: Date.now() }, padding)
        for (const wait of waits) {
          await setTimeout(wait, undefined, { signal: either })
          send('tick', { time: Date.now() })
        }
        connection.noteEnd('ended')
      } catch {
        const { reason } = ending.signal
        // Nobody is there.
        if (!(reason instanceof MillraceError)) return
        send('error', reason.toBody())
      } finally {
        onClosed()
      }
      controller.close()
    },
    cancel: () => ending.abort(),
  })
}
