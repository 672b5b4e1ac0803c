/**
 * The sessions, or the channels, of a client by name. The same name gives the same object while it is referenced
 * or read; then it is collected, and with it all that was folded from its events. What is kept is how it
 * was to be read, and where its reader is.
 */
import type { LogReader, Place } from './log-reader.ts'
import type { FlowOptions } from './transports/transport.ts'

export interface Entry {
  readonly flow: FlowOptions
  readonly place: Place
}

export interface Registry<T extends LogReader> {
  /**
   * The one there is, unless `start` asks for another way to read: then a new one, which throws a TypeError while the old
   * one is being read.
   */
  get(name: string, start: FlowOptions & { readonly from?: string }, make: (entry: Entry) => T, isMade?: boolean): T
}

/** Reading begins at `from` where nothing else is asked for. */
export function createRegistry<T extends LogReader>(from: string): Registry<T> {
  const entries = new Map<string, Entry & { readonly ref: WeakRef<T> }>()
  return {
    get(name, start, make, isMade = true) {
      const known = entries.get(name)
      const one = known?.ref.deref()
      const isAsked = Object.keys(start).length > 0
      if (one !== undefined && !isAsked) return one
      if (one?.isBeingRead) throw new TypeError('This is being read; call leave() first.')
      const { from: position = from, ...flow } = start
      const entry = known !== undefined && !isAsked ? known : { flow, place: { position, isMade } }
      const made = make(entry)
      entries.set(name, { ...entry, ref: new WeakRef(made) })
      return made
    },
  }
}
