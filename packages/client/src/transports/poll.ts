/** Down by one answer at a time, for networks that break streams: PROTOCOL.md#http, `live=poll`. */
import type { Source } from '@millrace/protocol'
import { MillraceError } from '../errors.ts'
import { type Http, toError } from '../http.ts'
import type { Timings } from '../timings.ts'
import type { StreamRequest, Transport } from './transport.ts'

export interface PollAnswer {
  readonly events: readonly { readonly id: string; readonly event: string; readonly data: unknown }[]
  readonly position: string
}

export function createPollTransport(http: Http, { pollWaitSeconds }: Timings): Transport {
  return {
    open(request) {
      poll(http, request, pollWaitSeconds).catch((error: unknown) => {
        if (!request.signal.aborted) request.on.failed(toError(error))
      })
    },
  }
}

/** What there is after a position now, or within the time. Rejects with a MillraceError. */
export async function readOnce(
  http: Http,
  source: Source,
  from: string,
  waitSeconds: number,
  signal: AbortSignal,
): Promise<PollAnswer> {
  const query = new URLSearchParams({ ...source, from, live: 'poll', wait: `${waitSeconds}` })
  const answer = (await http.json(`api/stream?${query.toString()}`, { signal })) as PollAnswer
  if (!Array.isArray(answer?.events) || typeof answer.position !== 'string') throw new MillraceError('bad_answer')
  return answer
}

async function poll(http: Http, { source, from, signal, on }: StreamRequest, waitSeconds: number): Promise<void> {
  let position = from
  // The first answer shows that polling works at all; it must not take as long as nothing happens.
  for (let wait = 0; !signal.aborted; wait = waitSeconds) {
    const answer = await readOnce(http, source, position, wait, signal)
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
