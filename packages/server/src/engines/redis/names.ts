/** The names of keys and channels in Redis. */
export class Names {
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** The channel of a log's notifications. A hash tag, so that all keys of a log are in one slot of a cluster. */
  channelOf(log: string): string {
    return `{${this.#prefix}/${log}}`
  }

  /** In the order in which the scripts expect them. */
  keysOf(log: string): readonly string[] {
    return ['meta', 'events', 'keys', 'packs'].map((name) => `${this.channelOf(log)}:${name}`)
  }

  broadcastOf(topic: string): string {
    return `${this.channelOf(topic)}:broadcast`
  }

  /** The key of a count. It does not end as a key of a log does. */
  countOf(key: string): string {
    return `${this.channelOf(`limits/${key}`)}:count`
  }

  /** A pattern of SCAN for the logs with a prefix, and what extracts the log from a key that matches. */
  scanOf(prefix: string): { readonly pattern: string; readonly logOf: (key: string) => string } {
    const [before, behind] = [this.channelOf('').slice(0, -1), '}:meta']
    return {
      pattern: `${`${before}${prefix}`.replace(/[\\*?[\]]/g, '\\$&')}*${behind}`,
      logOf: (key) => key.slice(before.length, -behind.length),
    }
  }
}
