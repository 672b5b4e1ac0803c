/** The bells of the logs that are watched, for engines whose logs only this process appends to. */
export class Watchers {
  readonly #logs = new Map<string, Set<() => void>>()

  watch(log: string, bell: () => void): () => void {
    const bells = this.#logs.get(log) ?? new Set()
    // A wrapper, so that the same function can watch twice and each watch ends alone.
    const own = () => bell()
    this.#logs.set(log, bells.add(own))
    return () => {
      bells.delete(own)
      if (bells.size === 0 && this.#logs.get(log) === bells) this.#logs.delete(log)
    }
  }

  notify(log: string): void {
    const bells = this.#logs.get(log)
    if (bells !== undefined) for (const bell of bells) bell()
  }

  has(log: string): boolean {
    return this.#logs.has(log)
  }

  get logs(): Iterable<string> {
    return this.#logs.keys()
  }

  clear(): void {
    this.#logs.clear()
  }
}
