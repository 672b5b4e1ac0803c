/** Decides about an append, by the state of its stream alone: PROTOCOL.md 5.2 of Durable Streams. */
import { invalid, StreamError } from './errors.ts'
import { mediaTypeOf, type Producer, type StreamState, withProducer } from './state.ts'

export interface AppendRequest {
  /** Absent where there is no body. */
  readonly contentType?: string
  readonly hasBody: boolean
  readonly isClosing: boolean
  readonly seq?: string
  readonly producer?: Producer
}

/** What the state becomes, but for the place of its tail. `isRepeated`: nothing is written. */
export type Decision =
  | { readonly isRepeated: true; readonly producer?: Producer }
  | { readonly isRepeated: false; readonly changes: Partial<StreamState> }

/** Throws a StreamError. `tail` is for those of a closed stream. */
export function decideAppend(state: StreamState, request: AppendRequest, tail: string): Decision {
  const { contentType, hasBody, isClosing, seq, producer } = request
  if (state.isClosed) return decideClosed(state, request, tail)
  if (hasBody && mediaTypeOf(contentType ?? '') !== mediaTypeOf(state.contentType))
    throw new StreamError(409, `The stream has the type ${state.contentType}.`)
  // Before Stream-Seq: a repeated request has a repeated one.
  if (producer !== undefined) {
    const last = requireProducer(state, producer)
    if (last !== undefined) return { isRepeated: true, producer: last }
  }
  if (seq !== undefined && state.seq !== undefined && compareBytes(seq, state.seq) <= 0)
    throw new StreamError(409, `Stream-Seq must be greater than the last one, ${state.seq}.`)
  const changes = {
    ...(seq !== undefined && { seq }),
    ...(producer !== undefined && { producers: withProducer(state.producers, producer) }),
    ...(isClosing && { isClosed: true as const, ...(producer !== undefined && { closedBy: producer }) }),
  }
  return { isRepeated: false, changes }
}

function decideClosed(state: StreamState, { hasBody, isClosing, producer }: AppendRequest, tail: string): Decision {
  const isSame = producer?.every((part, index) => part === state.closedBy?.[index])
  if (producer !== undefined && isSame) return { isRepeated: true, producer }
  if (producer === undefined && isClosing && !hasBody) return { isRepeated: true }
  if (producer !== undefined) requireEpoch(state, producer)
  throw new StreamError(409, 'The stream is closed.', { 'stream-closed': 'true', 'stream-next-offset': tail })
}

/** The producer's last request where this one repeats an earlier one; undefined where it is the next. */
function requireProducer(state: StreamState, producer: Producer): Producer | undefined {
  const [, epoch, seq] = producer
  const last = requireEpoch(state, producer)
  if (last !== undefined && last[1] === epoch) {
    if (seq <= last[2]) return last
    if (seq > last[2] + 1) throw sequenceGap(last[2] + 1, seq)
    return undefined
  }
  if (seq === 0) return undefined
  throw last === undefined ? sequenceGap(0, seq) : invalid('A new Producer-Epoch begins with Producer-Seq 0.')
}

function requireEpoch({ producers = [] }: StreamState, [id, epoch]: Producer): Producer | undefined {
  const last = producers.find(([known]) => known === id)
  if (last !== undefined && epoch < last[1])
    throw new StreamError(403, 'Another instance of the producer has a later Producer-Epoch.', { 'producer-epoch': `${last[1]}` })
  return last
}

function sequenceGap(expected: number, received: number): StreamError {
  const headers = { 'producer-expected-seq': `${expected}`, 'producer-received-seq': `${received}` }
  return new StreamError(409, `Producer-Seq must be ${expected}.`, headers)
}

/** UTF-16 units order text differently above U+FFFF. */
function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
