/** Calls a function for each item, for a few at a time: tests that wait need not wait one after another. */
export async function sideBySide<T>(items: Iterable<T>, count: number, act: (item: T) => Promise<void>): Promise<void> {
  const rest = Iterator.from(items)
  const next = async () => {
    for (const item of rest) await act(item)
  }
  await Promise.all(Array.from({ length: count }, next))
}
