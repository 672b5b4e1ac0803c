/** Clients of others name conversations and runs as they like. A name that an id can have stays as it is. */
import { hash } from 'node:crypto'
import { idPattern } from '@millrace/protocol'

export function idOfName(name: string): string {
  return idPattern.test(name) ? name : hash('sha256', JSON.stringify(['chat', name]), 'base64url').slice(0, 32)
}
