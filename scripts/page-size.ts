/** How much compressed JavaScript the first visit to the page loads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

/** A quarter of a second more on a slow phone line; beyond it, something should load later. */
export const firstRouteBytesMax = 150 * 1024

export interface PageSize {
  readonly bytes: number
  readonly files: readonly string[]
}

/** The scripts that index.html names: the entry and its preloads. Lazy imports come later. */
export function measureFirstRoute(folder: string): PageSize {
  const html = readFileSync(join(folder, 'index.html'), 'utf8')
  const files = [...html.matchAll(/<(?:script|link)\b[^>]*?\b(?:src|href)="([^"]+\.js)"/g)].map(([, file]) => file as string)
  if (files.length === 0) throw new Error('index.html names no script; what is measured is not the page.')
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(folder, file))).length, 0)
  return { bytes, files }
}
