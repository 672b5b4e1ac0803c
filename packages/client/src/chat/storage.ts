/** What outlives a reload of the page: lists, as JSON. */

/** `sessionStorage` and `localStorage` are some. */
export interface ChatStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

export function store(storage: ChatStorage | undefined, key: string, list: readonly unknown[]): void {
  try {
    if (list.length > 0) storage?.setItem(key, JSON.stringify(list))
    else storage?.removeItem(key)
  } catch {
    // Full or forbidden: it works, but does not outlive a reload.
  }
}

/** Empty where something else is kept there. */
export function load(storage: ChatStorage, key: string): readonly unknown[] {
  try {
    // What is no list is one item, which is no question.
    return [JSON.parse(storage.getItem(key) ?? '[]') as unknown].flat()
  } catch {
    return []
  }
}
