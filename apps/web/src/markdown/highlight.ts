/**
 * Colours of code. The highlighter and each language are loaded when a block first needs them. It is given whole lines only
 * and the beginning of the code, so that what it says of a line stays true of a block that grows, but for what a later line
 * reveals; that is shown when the block is complete.
 */
import type { HLJSApi, LanguageFn } from 'highlight.js'

/** A piece of a line and what it is: `keyword`, `string`. */
export interface Piece {
  readonly text: string
  readonly kind: string | undefined
}

export type Highlight = (code: string) => readonly (readonly Piece[])[]

/** What is highlighted again for each line; of longer code, lines wait until it is complete. */
export const eagerMax = 16_384
/** Nobody reads such a file here, and it would take the page's time. */
export const lengthMax = 200_000

type Load = () => Promise<{ readonly default: LanguageFn }>

const languages: Readonly<Record<string, Load>> = {
  bash: () => import('highlight.js/lib/languages/bash'),
  c: () => import('highlight.js/lib/languages/c'),
  cpp: () => import('highlight.js/lib/languages/cpp'),
  csharp: () => import('highlight.js/lib/languages/csharp'),
  css: () => import('highlight.js/lib/languages/css'),
  diff: () => import('highlight.js/lib/languages/diff'),
  dockerfile: () => import('highlight.js/lib/languages/dockerfile'),
  go: () => import('highlight.js/lib/languages/go'),
  ini: () => import('highlight.js/lib/languages/ini'),
  java: () => import('highlight.js/lib/languages/java'),
  javascript: () => import('highlight.js/lib/languages/javascript'),
  json: () => import('highlight.js/lib/languages/json'),
  kotlin: () => import('highlight.js/lib/languages/kotlin'),
  latex: () => import('highlight.js/lib/languages/latex'),
  lua: () => import('highlight.js/lib/languages/lua'),
  makefile: () => import('highlight.js/lib/languages/makefile'),
  markdown: () => import('highlight.js/lib/languages/markdown'),
  nginx: () => import('highlight.js/lib/languages/nginx'),
  php: () => import('highlight.js/lib/languages/php'),
  python: () => import('highlight.js/lib/languages/python'),
  r: () => import('highlight.js/lib/languages/r'),
  ruby: () => import('highlight.js/lib/languages/ruby'),
  rust: () => import('highlight.js/lib/languages/rust'),
  scss: () => import('highlight.js/lib/languages/scss'),
  sql: () => import('highlight.js/lib/languages/sql'),
  swift: () => import('highlight.js/lib/languages/swift'),
  typescript: () => import('highlight.js/lib/languages/typescript'),
  xml: () => import('highlight.js/lib/languages/xml'),
  yaml: () => import('highlight.js/lib/languages/yaml'),
}

/** Other names that models write behind a fence. */
const aliases: Readonly<Record<string, string>> = {
  sh: 'bash',
  shell: 'bash',
  zsh: 'bash',
  'c++': 'cpp',
  cs: 'csharp',
  'c#': 'csharp',
  docker: 'dockerfile',
  golang: 'go',
  toml: 'ini',
  js: 'javascript',
  jsx: 'javascript',
  mjs: 'javascript',
  jsonc: 'json',
  kt: 'kotlin',
  tex: 'latex',
  make: 'makefile',
  md: 'markdown',
  py: 'python',
  rb: 'ruby',
  rs: 'rust',
  ts: 'typescript',
  tsx: 'typescript',
  html: 'xml',
  svg: 'xml',
  vue: 'xml',
  yml: 'yaml',
}

const loaded = new Map<string, Promise<Highlight | undefined>>()
const ready = new Map<string, Highlight>()

/** What is loaded already: a block that comes whole is coloured in its first frame. */
export function readyHighlight(language: string): Highlight | undefined {
  return ready.get(nameOf(language))
}

/** Resolves with undefined where the language is not known, or could not be loaded. */
export function loadHighlight(language: string): Promise<Highlight | undefined> {
  const name = nameOf(language)
  const load = Object.hasOwn(languages, name) ? languages[name] : undefined
  if (load === undefined) return Promise.resolve(undefined)
  const known = loaded.get(name) ?? Promise.all([import('highlight.js/lib/core'), load()]).then(prepare, () => undefined)
  loaded.set(name, known)
  return known

  function prepare([core, grammar]: [{ default: HLJSApi }, { default: LanguageFn }]): Highlight {
    core.default.registerLanguage(name, grammar.default)
    const highlight: Highlight = (code) => readLines(core.default.highlight(code, { language: name, ignoreIllegals: true }).value)
    ready.set(name, highlight)
    return highlight
  }
}

function nameOf(language: string): string {
  const name = language.toLowerCase()
  return Object.hasOwn(aliases, name) ? (aliases[name] as string) : name
}

const entities: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#x27;': "'" }

/** What highlight.js writes as HTML, spans within spans, as pieces by line: it is never put into the page as HTML. */
export function readLines(html: string): readonly (readonly Piece[])[] {
  const lines: Piece[][] = [[]]
  const kinds: (string | undefined)[] = []
  for (const [token, kind, text] of html.matchAll(/<span class="(?:hljs-)?([\w-]+)[^>]*>|<\/span>|([^<]+)/g)) {
    if (kind !== undefined) kinds.push(kind)
    else if (text === undefined) kinds.pop()
    else {
      const words = token.replace(/&(?:amp|lt|gt|quot|#x27);/g, (entity) => entities[entity] ?? entity)
      for (const [index, part] of words.split('\n').entries()) {
        if (index > 0) lines.push([])
        if (part !== '') lines.at(-1)?.push({ text: part, kind: kinds.at(-1) })
      }
    }
  }
  return lines
}
