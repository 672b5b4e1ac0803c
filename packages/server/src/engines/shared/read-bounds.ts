/** The bounds of a page, with the defaults that `ReadOptions` states. */
import type { ReadOptions } from '../../log/log.ts'

export function readBounds({ eventsMax = 512, bytesMax = 262_144 }: ReadOptions = {}): Required<ReadOptions> {
  return { eventsMax, bytesMax }
}
