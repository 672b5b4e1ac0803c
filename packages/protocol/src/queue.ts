/** The order of the questions that wait: PROTOCOL.md#the-queue. Servers and clients fold the same events. */

export interface QueueMove {
  readonly entry: string
  /** The question that is then the next one behind it; null for the end. */
  readonly before: string | null
}

/** The same queue where one of the two does not wait any more. */
export function moveQueued<T extends { readonly entry: string }>(
  queue: readonly T[],
  { entry, before }: QueueMove,
): readonly T[] {
  const moved = queue.find((one) => one.entry === entry)
  const others = queue.filter((one) => one !== moved)
  const place = before === null ? others.length : others.findIndex((one) => one.entry === before)
  return moved === undefined || place === -1 ? queue : others.toSpliced(place, 0, moved)
}
