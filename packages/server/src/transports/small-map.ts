/**
 * A map that mostly has one entry, such as the logs of a connection. An empty `Map` takes 200 bytes, and a server has
 * thousands of idle connections: a `Map` is created for the second entry.
 */
export class SmallMap<V extends {}> {
  #key: string | undefined
  #value: V | undefined
  #others: Map<string, V> | undefined

  get(key: string): V | undefined {
    return key === this.#key ? this.#value : this.#others?.get(key)
  }

  set(key: string, value: V): void {
    const isFree = this.#key === undefined && this.#others?.has(key) !== true
    if (isFree || key === this.#key) {
      this.#key = key
      this.#value = value
    } else {
      this.#others ??= new Map()
      this.#others.set(key, value)
    }
  }

  delete(key: string): void {
    if (key === this.#key) this.#key = this.#value = undefined
    else if (this.#others?.delete(key) && this.#others.size === 0) this.#others = undefined
  }

  get size(): number {
    return (this.#key === undefined ? 0 : 1) + (this.#others?.size ?? 0)
  }

  /** A copy. */
  get values(): V[] {
    return [...(this.#value === undefined ? [] : [this.#value]), ...(this.#others?.values() ?? [])]
  }
}
