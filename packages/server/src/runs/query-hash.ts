/**
 * Identifies a question, to tell whether a request with a known run id is the same request. The id is hashed too, so that
 * equal questions of two runs have unlike hashes.
 */
import { hash } from 'node:crypto'
import { type Asked, askedOf } from '@millrace/protocol'

export function hashQuery(id: string, query: string, details: Asked = {}): string {
  const more = askedOf(details)
  // No id has a plus sign: a query that reads like the second form is not taken for it.
  const text = Object.keys(more).length === 0 ? ` ${query}` : `+${JSON.stringify([query, more])}`
  return hash('sha256', `${id}${text}`, 'base64url')
}
