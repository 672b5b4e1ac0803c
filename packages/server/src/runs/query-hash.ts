/**
 * Identifies a question, to tell whether a request with a known run id is the same request. The id is hashed too, so that
 * equal questions of two runs have unlike hashes.
 */
import { hash } from 'node:crypto'

export function hashQuery(id: string, query: string): string {
  return hash('sha256', `${id} ${query}`, 'base64url')
}
