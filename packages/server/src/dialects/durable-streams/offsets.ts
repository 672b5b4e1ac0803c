/**
 * Offsets of Durable Streams: opaque tokens that sort as text in the order of their stream, such as
 * `k3f9a2xq_0000000000000042`. Each part is a position in a log: its epoch, and the offset of the last event seen, at a fixed
 * width. A fork goes on in a log of its own, so its offsets have one part more than that of the place where it was forked.
 */
import type { Position } from '@millrace/protocol'

/** Positions in the logs of a stream: all but the last are where one log was left for the next. */
export type Place = readonly Position[]

/** Streams through which one was forked, itself included: an offset has fewer than 256 characters. */
export const partsMax = 8

/** Before everything, in any stream: what clients send that were written for the reference server. */
const zero = '0000000000000000_0000000000000000'
const digits = 16
const token = /^[0-9a-z]{8,32}_[0-9]{16}(?:_[0-9a-z]{8,32}_[0-9]{16}){0,7}$/

export function formatPlace(place: Place): string {
  return place.map(({ epoch, offset }) => `${epoch}_${String(offset).padStart(digits, '0')}`).join('_')
}

/** `start` for the two tokens that mean it; undefined for what is no offset. */
export function parsePlace(text: string): Place | 'start' | undefined {
  if (text === '-1' || text === zero) return 'start'
  if (text.length > 255 || !token.test(text)) return undefined
  const parts = text.split('_')
  const place = Array.from({ length: parts.length / 2 }, (_, index) => ({
    epoch: parts[2 * index] as string,
    offset: Number(parts[2 * index + 1]),
  }))
  return place.every(({ offset }) => Number.isSafeInteger(offset)) ? place : undefined
}
