/** Down by one answer at a time, for networks that break streams: PROTOCOL.md#http, `live=poll`. */
import { MillraceError } from '../errors.ts'
import { type Http, toError } from '../http.ts'
import type { Timings } from '../timings.ts'
import type { StreamRequest, Transport } from './transport.ts'

interface PollAnswer {
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

async function poll(http: Http, { source, from, signal, on }: StreamRequest, waitSeconds: number): Promise<void> {
  let position = from
  // The first answer shows that polling works at all; it must not take as long as nothing happens.
  for (let wait = 1; !signal.aborted; wait = waitSeconds) {
    const query = new URLSearchParams({ ...source, from: position, live: 'poll', wait: `${wait}` })
    const answer = (await http.json(`api/stream?${query.toString()}`, { signal })) as PollAnswer
    if (signal.aborted) return
    if (!Array.isArray(answer?.events) || typeof answer.position !== 'string') throw new MillraceError('bad_answer')
    on.opened()
    for (const { event, id, data } of answer.events) {
      on.event(event, id, data)
      if (signal.aborted) return
    }
    on.reached(answer.position)
    position = answer.position
  }
}
