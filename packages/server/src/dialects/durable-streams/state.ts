/**
 * The state of a stream that clients write. It is the last event of its log, in the same batch as the data that changed it: a
 * writer reads one event, decides, and appends under the condition that the head has not moved. So all servers of an engine
 * agree, and what a producer sends twice is found whatever has crashed between.
 */
import type { Json, Position } from '@millrace/protocol'

export interface StreamState {
  readonly contentType: string
  /** Seconds without a read or a write after which the stream ends. */
  readonly ttl?: number
  /** As the client wrote it. */
  readonly expiresAt?: string
  /** Of the last read or write that was noted, in milliseconds since 1970. */
  readonly usedAt: number
  readonly isClosed?: true
  readonly isDeleted?: true
  /** Offsets in its log: before its first event, and of its last event with data. A log goes on when a stream is created again. */
  readonly base: number
  readonly tail: number
  /** The last `Stream-Seq`. */
  readonly seq?: string
  /** The one that wrote last is the last. */
  readonly producers?: readonly Producer[]
  /** The request that closed the stream. */
  readonly closedBy?: Producer
  readonly fork?: Fork
}

export type Producer = readonly [id: string, epoch: number, seq: number]

export interface Fork {
  /** The stream that it was forked from. */
  readonly from: string
  /** As they were asked for. */
  readonly offset?: string
  readonly subOffset?: number
  readonly expiresWithSource?: true
  /** What it reads before its own log, oldest first. */
  readonly inherits: readonly Inherited[]
}

/** A part of another stream's log. */
export interface Inherited {
  readonly stream: string
  readonly epoch: string
  readonly after: number
  readonly upTo: number
  /** What is before it was no longer kept when the fork was created. */
  readonly isCut?: boolean
}

/** A stream as it was found: its state, and the head of its log. */
export interface Found {
  readonly name: string
  readonly head: Position
  /** Before the oldest event that is kept. */
  readonly start: number
  readonly state: StreamState
}

/** Producers that are remembered; of more, the ones that have not written for longest are forgotten. */
const producersMax = 64

/** A read is noted when this time has passed, and a stream lives as much longer: so no read comes too late. */
const noteMs = (ttl: number) => Math.min(Math.max(ttl * 250, 1000), 60_000)

export function isOver({ isDeleted, ttl, usedAt, expiresAt }: StreamState, now: number): boolean {
  if (isDeleted) return true
  if (expiresAt !== undefined && now >= Date.parse(expiresAt)) return true
  return ttl !== undefined && now >= usedAt + ttl * 1000 + noteMs(ttl)
}

export function mustNoteRead({ ttl, usedAt }: StreamState, now: number): boolean {
  return ttl !== undefined && now - usedAt >= noteMs(ttl)
}

export function withProducer(producers: readonly Producer[] = [], producer: Producer): readonly Producer[] {
  return [...producers.filter(([id]) => id !== producer[0]), producer].slice(-producersMax)
}

export function stateEvent(state: StreamState): { readonly type: string; readonly data: Json } {
  return { type: 'state', data: state as object as Json }
}

/** `text/plain; charset=utf-8` and `Text/Plain` are the same type. */
export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';', 1)[0] as string).trim().toLowerCase()
}

export const isJson = (contentType: string): boolean => mediaTypeOf(contentType) === 'application/json'
