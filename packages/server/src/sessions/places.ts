/** Sessions in the order of their last use. A place that is no longer its session's newest is skipped, and removed later. */

export interface Place {
  readonly session: string
  /** Of the event that recorded the use. */
  readonly offset: number
}

/** Outdated places that also a short list may have. */
const outdatedMax = 16

export class Places {
  readonly #isCurrent: (place: Place) => boolean
  /** Ordered by offset once sorted. */
  #places: Place[] = []
  #isSorted = true
  /** After outdated ones were removed last. */
  #length = 0

  constructor(isCurrent: (place: Place) => boolean) {
    this.#isCurrent = isCurrent
  }

  add(place: Place): void {
    if (place.offset < (this.#places.at(-1)?.offset ?? 0)) this.#isSorted = false
    this.#places.push(place)
  }

  /** Before an offset, the last used first. */
  before(offset: number, count: number): Place[] {
    const found: Place[] = []
    for (let at = this.#find(offset) - 1; at >= 0 && found.length < count; at--) {
      const place = this.#places[at] as Place
      if (this.#isCurrent(place)) found.push(place)
    }
    return found
  }

  get isEmpty(): boolean {
    return this.#places.length === 0
  }

  /** MUST be called after places were added, before `before`. Whether outdated ones were removed. */
  tidy(): boolean {
    if (this.#isSorted && this.#places.length <= 2 * this.#length + outdatedMax) return false
    this.prune()
    return true
  }

  /** Removes outdated ones. */
  prune(): void {
    this.#places = this.#places.filter(this.#isCurrent)
    if (!this.#isSorted) this.#places.sort((one, other) => one.offset - other.offset)
    this.#isSorted = true
    this.#length = this.#places.length
  }

  /** Removes those used longest ago. */
  evict(count: number): Place[] {
    this.prune()
    return this.#places.splice(0, count)
  }

  /** Index of the first place at or after this offset. */
  #find(offset: number): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#places[middle]?.offset ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
