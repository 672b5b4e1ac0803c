/** Whose each session is: by its record, and where retention has removed that before the session, by the list of sessions. */
import type { Owners } from '../access/ownership.ts'
import type { Engine } from '../log/log.ts'
import type { Catalog } from './catalog.ts'
import type { Records } from './records.ts'

export interface SessionOwners extends Owners {
  /** A run of the session has ended: its record is to outlast it. `hasRecord`: one was read for that run. */
  keep(session: string, hasRecord: boolean): Promise<void>
  /** The owner that the list is to have of a session. */
  ownerToNote(session: string): Promise<string | undefined>
}

export interface SessionOwnersOptions {
  /** Without quarantine: a damaged session exists. */
  readonly store: Engine
  readonly records: Records
  readonly catalog: Catalog
  /** Whether sessions get owners without the host's own code. */
  readonly hasOwners: boolean
}

export function createSessionOwners({ store, records, catalog, hasOwners }: SessionOwnersOptions): SessionOwners {
  return {
    async ownerOf(session) {
      const record = await records.find(session)
      if (record !== undefined) return record.owner ?? null
      await catalog.refresh()
      const listed = catalog.get(session)
      return listed !== undefined || (await store.inspect(session)) !== undefined ? (listed?.owner ?? null) : undefined
    },
    hasShare: async (session, share) => (await records.find(session))?.shares.some(({ id }) => id === share) ?? false,
    keep: async (session, hasRecord) => {
      if (hasOwners || hasRecord) await records.keep(session)
    },
    // An open server asks for no record here. The list keeps what it has.
    ownerToNote: async (session) => (hasOwners ? (await records.find(session))?.owner : undefined),
  }
}
