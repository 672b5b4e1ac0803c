/** How much JavaScript a first visit to the page loads, as it goes over the wire. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

/** On a slow phone line a quarter of a second more; past it, something should load later. */
export const firstRouteBytesMax = 150 * 1024

export interface PageSize {
  readonly bytes: number
  readonly files: readonly string[]
}

/** What index.html itself names: the entry and what it preloads. What is imported lazily comes later. */
export function measureFirstRoute(folder: string): PageSize {
  const html = readFileSync(join(folder, 'index.html'), 'utf8')
  const files = [...html.matchAll(/<(?:script|link)\b[^>]*?\b(?:src|href)="([^"]+\.js)"/g)].map(([, file]) => file as string)
  if (files.length === 0) throw new Error('index.html names no script; what is measured is not the page.')
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(folder, file))).length, 0)
  return { bytes, files }
}
