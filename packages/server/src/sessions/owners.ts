/** Whose each session is: by its record, and where retention has removed that before the session, by the list of sessions. */
import type { Catalog } from './catalog.ts'
import type { Records } from './records.ts'

export interface SessionOwners {
  /** Undefined for a session of nobody, and where there is no session. Rejects as the engine does. */
  ownerOf(session: string): Promise<string | undefined>
  /** A run of the session has ended: its record is to outlast it. */
  keep(session: string): Promise<void>
  /** The owner that the list is to have of a session. */
  ownerToNote(session: string): Promise<string | undefined>
}

export interface SessionOwnersOptions {
  readonly records: Records
  readonly catalog: Catalog
  /** Whether sessions get owners without the host's own code. */
  readonly hasOwners: boolean
}

export function createSessionOwners({ records, catalog, hasOwners }: SessionOwnersOptions): SessionOwners {
  return {
    async ownerOf(session) {
      const record = await records.find(session)
      if (record !== undefined) return record.owner
      await catalog.refresh()
      return catalog.get(session)?.owner
    },
    keep: async (session) => {
      if (hasOwners) await records.keep(session)
    },
    // An open server asks for no record. The list keeps what it has.
    ownerToNote: async (session) => (hasOwners ? (await records.find(session))?.owner : undefined),
  }
}
