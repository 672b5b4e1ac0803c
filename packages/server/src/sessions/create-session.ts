/** Creates a session, with its owner where it has one. */
import type { Engine } from '../log/log.ts'
import type { Records } from './records.ts'

export interface SessionStores {
  readonly engine: Engine
  readonly records: Pick<Records, 'claim'>
}

export async function createSession({ engine, records }: SessionStores, id: string, owner: string | undefined): Promise<void> {
  // Before the session exists: at no moment can others read it.
  if (owner !== undefined) await records.claim(id, owner)
  await engine.append(id, [])
  // The owner may be deleting it at this moment, and with it the record.
  if (owner !== undefined) await records.claim(id, owner)
}
