/** Turns the names that other products' clients use into ids of sessions and runs. */
import { hash } from 'node:crypto'
import { idPattern } from '@millrace/protocol'

/** A name may be any text; one that is a valid id stays as it is. */
export function idOfName(name: string): string {
  return idPattern.test(name) ? name : digestId(['chat', name])
}

/** The same parts give the same id, on every server. */
export function digestId(parts: readonly string[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 32)
}
