/**
 * Which of many measurements are made: all while they are few, and at most ten in a tenth of a second. One that is made counts
 * for those before it that were not.
 */
export class Sampler {
  #left = samplesMax
  #waiting = 0

  /** For how many a measurement stands that is made now; 0 where it is not to be made. */
  take(count = 1): number {
    this.#waiting += count
    if (this.#left === 0) return 0
    this.#left -= 1
    if (this.#left === 0) setTimeout(this.#refill, periodMs).unref()
    const weight = this.#waiting
    this.#waiting = 0
    return weight
  }

  readonly #refill = (): void => {
    this.#left = samplesMax
  }
}

const samplesMax = 10
const periodMs = 100
