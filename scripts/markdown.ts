/** The documents: every link in them leads somewhere, every page is there in both languages, and guides are short. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const pageWordsMax = 1200
const cellWordsMax = 15

/** Documents by their path, with what a reader finds there; folders and other files are what `exists` says. */
export interface Documents {
  readonly texts: Readonly<Record<string, string>>
  readonly exists: (path: string) => boolean
}

/** Pages that a user reads; what is for contributors is English only. */
const translated = ['README.md', 'docs/README.md', 'docs/guides/*.md']

export function readDocuments(root: string, files: readonly string[]): Documents {
  const texts = Object.fromEntries(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
  return { texts, exists: (path) => existsSync(join(root, path)) }
}

export function findUntranslated(root: string): string[] {
  const files = globSync(translated, { cwd: root }).filter((file) => statSync(join(root, file)).isFile())
  return files
    .map((file) => (file.endsWith('.zh-CN.md') ? file.replace('.zh-CN.md', '.md') : file.replace(/\.md$/, '.zh-CN.md')))
    .filter((twin) => !existsSync(join(root, twin)))
    .map((twin) => `${twin} is missing: a page is there in both languages.`)
}

export function findBrokenLinks({ texts, exists }: Documents): string[] {
  return Object.entries(texts).flatMap(([file, text]) =>
    linksOf(text).flatMap((link) => {
      const [path = '', anchor] = decodeURI(link).split('#')
      const target = path === '' ? file : join(dirname(file), path)
      if (!exists(target)) return [`${file} links to ${link}, which is not there.`]
      const page = texts[target]
      if (anchor === undefined || page === undefined || anchorsOf(page).has(anchor)) return []
      return [`${file} links to ${link}, and ${basename(target)} has no such heading.`]
    }),
  )
}

/** In English pages; Chinese ones say the same. */
export function findLongTexts({ texts }: Documents): string[] {
  const guides = Object.entries(texts).filter(([file]) => /^docs\/guides\/[\w-]+\.md$/.test(file))
  return guides.flatMap(([file, text]) => {
    const prose = withoutCode(text)
    const cells = [...prose.matchAll(/^\|.*\|$/gm)].flatMap(([row]) => row.split('|'))
    const long = cells.filter((cell) => countWords(cell) > cellWordsMax)
    const count = countWords(prose)
    return [
      ...long.map((cell) => `${file} has a table cell of more than ${cellWordsMax} words: ${cell.trim()}`),
      ...(count > pageWordsMax ? [`${file} has ${count} words; more than ${pageWordsMax} are two pages.`] : []),
    ]
  })
}

function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => /\w/.test(word)).length
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```.*?^```$/gms, '')
}

/** Relative ones, outside of code. */
function linksOf(markdown: string): string[] {
  const prose = withoutCode(markdown).replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link))
}

/** As GitHub makes them. https://github.com/Flet/github-slugger */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of withoutCode(markdown).matchAll(/^#{1,6} (.*)$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const anchor = text.replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '').replaceAll(' ', '-')
    let number = 0
    while (anchors.has(number === 0 ? anchor : `${anchor}-${number}`)) number += 1
    anchors.add(number === 0 ? anchor : `${anchor}-${number}`)
  }
  return anchors
}
