/** Ids of sessions and runs that are made from what clients of others send. */
import { hash } from 'node:crypto'
import { idPattern } from '@millrace/protocol'

/** They name conversations and runs as they like. A name that an id can have stays as it is. */
export function idOfName(name: string): string {
  return idPattern.test(name) ? name : digestId(['chat', name])
}

/** The same for the same parts, on every server. */
export function digestId(parts: readonly string[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 32)
}
