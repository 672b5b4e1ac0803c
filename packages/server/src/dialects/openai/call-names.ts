/** Ids of calls in a history that a client posts. A model may use one again in a later answer; a run's messages may not. */
export class CallNames {
  /** Ours, by the client's, of calls that have no result yet. */
  readonly #open = new Map<string, string>()
  readonly #used = new Set<string>()

  /** A call of another request, with its result. */
  use(id: string): void {
    this.#used.add(id)
  }

  begin(id: string): string {
    let own = id
    for (let count = 2; this.#used.has(own); count++) own = `${id}_${count}`
    this.#used.add(own)
    this.#open.set(id, own)
    return own
  }

  end(id: string): string {
    const own = this.#open.get(id) ?? id
    this.#open.delete(id)
    return own
  }
}
