/** Checks of documents: links and citations resolve, pages exist in both languages, and guides are short. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const pageWordsMax = 1200
const cellWordsMax = 15

/** The text of each document, by its path. `exists` also covers folders and other files. */
export interface Documents {
  readonly texts: Readonly<Record<string, string>>
  readonly exists: (path: string) => boolean
}

/** Pages for users. Pages for contributors are English only. */
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
    .map((twin) => `${twin} is missing: a page exists in both languages.`)
}

export function findBrokenLinks(documents: Documents): string[] {
  return Object.entries(documents.texts).flatMap(([file, text]) =>
    linksOf(text).flatMap((link) => {
      const [path = '', anchor] = decodeURI(link).split('#')
      const problem = checkTarget(documents, path === '' ? file : join(dirname(file), path), anchor)
      return problem === undefined ? [] : [`${file} links to ${link}, but ${problem}.`]
    }),
  )
}

/** Comments cite documents by their path from the root: `PROTOCOL.md#limits`. `code` is the text of each file by its path. */
export function findBrokenCitations(documents: Documents, code: Readonly<Record<string, string>>): string[] {
  return Object.entries(code).flatMap(([file, text]) =>
    citationsOf(text).flatMap((citation) => {
      const [path = '', anchor] = citation.split('#')
      const problem = checkTarget(documents, path, anchor)
      return problem === undefined ? [] : [`${file} cites ${citation}, but ${problem}.`]
    }),
  )
}

function checkTarget({ texts, exists }: Documents, target: string, anchor: string | undefined): string | undefined {
  if (!exists(target)) return `${target} does not exist`
  const page = texts[target]
  if (anchor === undefined || page === undefined || anchorsOf(page).has(anchor)) return undefined
  return `${basename(target)} has no such heading`
}

/** Checks English pages only; the Chinese ones are their translations. */
export function findLongTexts({ texts }: Documents): string[] {
  const guides = Object.entries(texts).filter(([file]) => /^docs\/guides\/[\w-]+\.md$/.test(file))
  return guides.flatMap(([file, text]) => {
    const prose = withoutCode(text)
    const cells = [...prose.matchAll(/^\|.*\|$/gm)].flatMap(([row]) => row.split('|'))
    const long = cells.filter((cell) => countWords(cell) > cellWordsMax)
    const count = countWords(withoutReference(prose))
    return [
      ...long.map((cell) => `${file} has a table cell of more than ${cellWordsMax} words: ${cell.trim()}`),
      ...(count > pageWordsMax ? [`${file} has ${count} words; split a page of more than ${pageWordsMax}.`] : []),
    ]
  })
}

function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => /\w/.test(word)).length
}

/** Tables that are made from the code are looked up, not read. */
function withoutReference(markdown: string): string {
  return markdown.replace(/^<!-- settings -->$.*?^<!-- \/settings -->$/gms, '')
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```.*?^```$/gms, '')
}

/** Relative links, outside of code. */
function linksOf(markdown: string): string[] {
  const prose = withoutCode(markdown).replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link))
}

/** Outside of strings: a path in a string may be relative to anything. */
function citationsOf(source: string): string[] {
  const comments = source.match(/(^|\s)\/\/ .*|\/\*\*[\s\S]*?\*\//g) ?? []
  return comments.flatMap((comment) => comment.match(/(?<![\w./@-])[\w./-]+\.md\b(#[\p{L}\p{N}_-]+)?/gu) ?? [])
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
