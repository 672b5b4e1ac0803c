/** Down by one answer at a time, for networks that break streams: PROTOCOL.md#http, `live=poll`. */
import { MillraceError } from '../errors.ts'
import { type Http, toError } from '../http.ts'
import type { Gauges } from '../status.ts'
import type { Timings } from '../timings.ts'
import { queryOf, type ReadRequest, type StreamRequest, type Transport } from './transport.ts'

export interface PollAnswer {
  readonly events: readonly { readonly id: string; readonly event: string; readonly data: unknown }[]
  readonly position: string
}

export function createPollTransport(http: Http, gauges: Gauges, { pollWaitSeconds, silenceMs }: Timings): Transport {
  // An answer must be there before it is missed.
  const waitSeconds = Math.min(pollWaitSeconds, Math.max(1, Math.floor((silenceMs - 1) / 1000)))
  return {
    open(request) {
      poll(http, gauges, request, waitSeconds).catch((error: unknown) => {
        if (!request.signal.aborted) request.on.failed(toError(error))
      })
    },
  }
}

/** What there is after a position now, or within the time. Rejects with a MillraceError. */
export async function pollOnce(
  http: Http,
  source: ReadRequest,
  from: string,
  waitSeconds: number,
  signal: AbortSignal,
): Promise<PollAnswer> {
  const query = queryOf({ ...source, from, live: 'poll', wait: waitSeconds })
  const answer = (await http.json(`api/stream?${query}`, { signal, extraMs: waitSeconds * 1000 })) as PollAnswer
  if (!Array.isArray(answer?.events) || typeof answer.position !== 'string') throw new MillraceError('bad_answer')
  return answer
}

async function poll(http: Http, gauges: Gauges, { source, from, signal, on }: StreamRequest, waitSeconds: number): Promise<void> {
  let position = from
  // The first answer shows that polling works at all; it must not take as long as nothing happens.
  for (let wait = 0; !signal.aborted; wait = waitSeconds) {
    const sentAt = performance.now()
    const answer = await pollOnce(http, source, position, wait, signal)
    // Others wait for something to happen.
    if (wait === 0) gauges.roundTripMs = performance.now() - sentAt
    if (signal.aborted) return
    on.opened()
    for (const { event, id, data } of answer.events) {
      on.event(event, id, data)
      if (signal.aborted) return
    }
    on.reached(answer.position)
    position = answer.position
  }
}
