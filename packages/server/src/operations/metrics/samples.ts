/**
 * Numbers that are cheap to change: a counter is a field, a histogram an array. What Prometheus reads is made of them when it
 * asks.
 */

/** One line of a metric. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  /** Where it is not that of the metric. */
  readonly metricName?: string
}

/** A number for each combination of the labels' values. MUST NOT be given values without a bound. */
export class Counts<Label extends string = string> {
  readonly #labels: readonly Label[]
  readonly #counts = new Map<string, number>()

  constructor(...labels: Label[]) {
    this.#labels = labels
  }

  /** Begins at 0 for these values of its one label, or without a label: the first change is a change then. */
  from(...values: readonly string[]): this {
    if (values.length === 0) this.add([], 0)
    for (const value of values) this.add([value], 0)
    return this
  }

  /** `values` in the order of the labels. */
  add(values: readonly string[], count = 1): void {
    const key = values.join('\0')
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count)
  }

  samples(): Sample[] {
    return [...this.#counts].map(([key, value]) => {
      const values = key.split('\0')
      return { labels: Object.fromEntries(this.#labels.map((label, index) => [label, values[index] as string])), value }
    })
  }
}

export class Histogram {
  readonly #bounds: readonly number[]
  /** One more than the bounds: the last is for values beyond all of them. */
  readonly #counts: number[]
  #sum = 0

  /** Upper bounds of the buckets, ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  record(value: number, count = 1): void {
    let index = 0
    while (index < this.#bounds.length && value > (this.#bounds[index] as number)) index += 1
    this.#counts[index] = (this.#counts[index] as number) + count
    this.#sum += value * count
  }

  samples(name: string, labels: Sample['labels'] = {}): Sample[] {
    let count = 0
    const buckets = [...this.#bounds, '+Inf'].map((le, index) => {
      count += this.#counts[index] as number
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ]
  }
}

/** A histogram for each value of one label, which MUST be bounded. */
export class Histograms {
  readonly #label: string
  readonly #bounds: readonly number[]
  readonly #histograms = new Map<string, Histogram>()

  constructor(label: string, bounds: readonly number[]) {
    this.#label = label
    this.#bounds = bounds
  }

  record(value: string, measured: number, count = 1): void {
    let histogram = this.#histograms.get(value)
    if (histogram === undefined) {
      histogram = new Histogram(this.#bounds)
      this.#histograms.set(value, histogram)
    }
    histogram.record(measured, count)
  }

  samples(name: string): Sample[] {
    return [...this.#histograms].flatMap(([value, histogram]) => histogram.samples(name, { [this.#label]: value }))
  }
}
