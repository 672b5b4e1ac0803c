/** What happens to streams between the client and the server: buffering, compression, idle time-outs, headers, clocks. */
import { type Finding, note, ok, problem } from './finding.ts'
import { type Arrival, readStream, type StreamAnswer, type Target } from './request.ts'
import type { Seen } from './seen.ts'

/** Clocks may differ by this much before tokens are rejected: PROTOCOL.md#tokens. */
const leewayMs = 30_000
const skewNoteMs = 5000

/** The `pace` stream: do events arrive when they are sent? */
export function examinePace({ events, headers }: StreamAnswer): Finding[] {
  const [first, last] = [events.at(0), events.at(-1)] as [Arrival, Arrival]
  if (last.event !== 'tick') return [problem('unreachable', `A stream ended after ${events.length} events.`)]
  const sentMs = timeOf(last) - timeOf(first)
  const arrivedMs = last.at - first.at
  const encoding = headers['content-encoding']
  return [
    isHeldBack(events)
      ? problem('buffering', `Streams are buffered: events of ${seconds(sentMs)} arrived within ${seconds(arrivedMs)}.`)
      : ok('buffering', `Streams are not buffered: events of ${seconds(sentMs)} arrived within ${seconds(arrivedMs)}.`),
    encoding === undefined || encoding === 'identity'
      ? ok('compression', 'Streams are not compressed.')
      : problem('compression', `A proxy compresses streams (${encoding}), although they are marked no-transform.`),
  ]
}

/** Most of the time between the first and the last event is lost. */
export function isHeldBack(events: readonly Arrival[]): boolean {
  const [first, last] = [events.at(0), events.at(-1)]
  if (first === undefined || last === undefined) return false
  return last.at - first.at < (timeOf(last) - timeOf(first)) / 2
}

/** The `silence` stream: is a connection kept on which nothing happens until the next heartbeat? */
export async function examineSilence(target: Target, { heartbeatMs }: Seen): Promise<Finding[]> {
  const { events, endedAt, startedAt } = await readStream(target, { path: '/api/doctor?check=silence' })
  const last = events.at(-1)
  if (last?.event === 'tick') return [ok('idle_timeout', `A stream that is silent for ${seconds(heartbeatMs)} stays open.`)]
  if (last?.event === 'error') return [note('idle_timeout', 'The server closed the stream, so that idle time-outs are unknown.')]
  const afterMs = endedAt - (events[0]?.at ?? startedAt)
  const text = `A silent stream is cut after ${seconds(afterMs)}, before the heartbeat of ${seconds(heartbeatMs)}.`
  return [problem('idle_timeout', text)]
}

/** Which headers the server has seen of those that the doctor sent, and what the proxy should add. */
export function examineHeaders({ lastEventId, authorization, forwardedFor, isSecure }: Seen, facts: HeaderFacts): Finding[] {
  const { proxy, isTls } = facts
  return [
    lastEventId
      ? ok('last_event_id_stripped', 'Last-Event-ID arrives, so that EventSource resumes.')
      : problem('last_event_id_stripped', 'Last-Event-ID does not arrive: EventSource cannot resume.'),
    authorization
      ? ok('authorization_stripped', 'Authorization arrives.')
      : problem('authorization_stripped', 'Authorization does not arrive: no token works.'),
    ...examineAddress(forwardedFor, proxy),
    ...(!isTls || isSecure
      ? []
      : [
          problem(
            'scheme_hidden',
            'The server does not know that clients use TLS: X-Forwarded-Proto is missing or not believed.',
          ),
        ]),
  ]
}

interface HeaderFacts {
  /** Undefined where no proxy was recognized. */
  readonly proxy: string | undefined
  readonly isTls: boolean
}

function examineAddress(forwardedFor: Seen['forwardedFor'], proxy: string | undefined): Finding[] {
  const effect = 'so that all clients together count as one address'
  if (forwardedFor === 'believed') return [ok('address_hidden', 'The server knows the address of its client.')]
  if (forwardedFor === 'ignored')
    return [problem('address_hidden', `X-Forwarded-For arrives, but the server does not trust the proxy, ${effect}.`)]
  return proxy === undefined ? [] : [problem('address_hidden', `X-Forwarded-For does not arrive, ${effect}.`)]
}

/** `origin` is the local clock at the zero of the monotonic one. */
export function examineClock({ events, startedAt }: StreamAnswer, origin: number): Finding[] {
  const [first] = events as [Arrival]
  const wayMs = first.at - startedAt
  const differsMs = timeOf(first) - (origin + startedAt + wayMs / 2)
  // The time on the way is not known for each direction, and a buffered event arrives late.
  const certainMs = Math.abs(differsMs) - wayMs / 2
  const text = `The clocks of the server and of this machine differ by ${seconds(Math.abs(differsMs))}`
  if (certainMs > leewayMs) return [problem('clock_skew', `${text}: tokens are rejected beyond ${seconds(leewayMs)}.`)]
  if (certainMs > skewNoteMs) return [note('clock_skew', `${text}.`)]
  return [ok('clock_skew', 'The clocks of the server and of this machine agree.')]
}

const timeOf = ({ data }: Arrival) => Number(data['time'])

/** `1.5 s` */
export function seconds(milliseconds: number): string {
  return `${Number((milliseconds / 1000).toFixed(1))} s`
}
