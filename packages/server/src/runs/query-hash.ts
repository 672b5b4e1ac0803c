/**
 * What is kept of a question to tell whether another request with the same run id is the same request. The id is part of
 * it, so that equal questions of two runs do not look alike.
 */
import { hash } from 'node:crypto'

export function hashQuery(id: string, query: string): string {
  return hash('sha256', `${id} ${query}`, 'base64url')
}
