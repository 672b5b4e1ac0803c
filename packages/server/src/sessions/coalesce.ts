/**
 * What many ask for at the same time, done once for all of them. Whoever asks while it is being done waits for the next
 * time, so that what they are given knows of everything that was there when they asked.
 */
export function coalesce<T>(act: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const turns = new Map<string, { readonly now: Promise<T>; next?: Promise<T> }>()
  return run

  function run(key: string): Promise<T> {
    const turn = turns.get(key)
    if (turn === undefined) {
      const now = act(key).finally(() => turns.delete(key))
      turns.set(key, { now })
      return now
    }
    turn.next ??= turn.now.then(
      () => run(key),
      () => run(key),
    )
    return turn.next
  }
}
