/** Builds the page once for all files of the project `browser`. */
import type { TestProject } from 'vitest/node'
import { buildPage } from './page.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the built page. */
    page: string
  }
}

export default async function build({ provide }: TestProject): Promise<() => Promise<void>> {
  const page = await buildPage()
  provide('page', page.folder)
  return async () => {
    await page[Symbol.asyncDispose]()
  }
}
