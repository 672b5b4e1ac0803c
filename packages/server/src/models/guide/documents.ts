/** Millrace's own documents: where they are, and how they are split into the sections that the guide searches. */
import { readdir, readFile } from 'node:fs/promises'

export type Language = 'en' | 'zh'

export interface GuideDocument {
  /** From the root of the repository: `docs/guides/http.md`. */
  readonly path: string
  readonly text: string
}

export interface Section {
  readonly path: string
  readonly language: Language
  /** Headings from the document's title to the section's own. */
  readonly titles: readonly string[]
  /** Markdown, without the heading. */
  readonly body: string
}

const singleFiles = ['README.md', 'README.zh-CN.md', 'PROTOCOL.md', 'docs/errors.md']
export const guidesFolder = 'docs/guides/'

/** Source runs only in a checkout, from its root; the published package has a copy in `dist/guide`. */
const folder = new URL(import.meta.url.endsWith('.ts') ? '../../../../../' : '../../guide/', import.meta.url)

/** The documents that exist. */
export async function readDocuments(): Promise<readonly GuideDocument[]> {
  const names = (await orAbsent(readdir(new URL(guidesFolder, folder)))) ?? []
  const paths = [...singleFiles, ...names.filter((name) => name.endsWith('.md')).map((name) => guidesFolder + name)]
  const read = await Promise.all(
    paths.map(async (path) => ({ path, text: await orAbsent(readFile(new URL(path, folder), 'utf8')) })),
  )
  return read.filter((document): document is GuideDocument => document.text !== undefined)
}

export function cutDocument({ path, text }: GuideDocument): Section[] {
  const language = path.includes('.zh-CN.') ? 'zh' : 'en'
  const sections: Section[] = []
  let titles: string[] = []
  let lines: string[] = []
  let isCode = false
  for (const line of [...text.split(/\r?\n/), '# ']) {
    if (line.startsWith('```')) isCode = !isCode
    const heading = isCode ? null : /^(#{1,4}) (.*)$/.exec(line)
    if (heading === null) {
      // Badges, pictures and rows of links belong to the page.
      if (isCode || !(line.startsWith('<') || /^\s*(\[[^\]]*\]\([^)]*\)[\s·|]*)+$/.test(line))) lines.push(line)
      continue
    }
    const body = lines.join('\n').trim()
    if (body !== '') sections.push({ path, language, titles, body })
    titles = [...titles.slice(0, (heading[1] as string).length - 1), heading[2] as string]
    lines = []
  }
  return sections
}

async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
