/**
 * A search index of the sections of Millrace's own documents, in English and Chinese. It matches words, and nothing
 * else.
 */
import MiniSearch from 'minisearch'
import { cutDocument, type GuideDocument, guidesFolder, type Language, type Section } from './documents.ts'

export interface GuideIndex {
  /** The best sections for the question, best first; none if too few of its words are known. */
  find(question: string, language: Language): readonly Section[]
}

export function createGuideIndex(documents: readonly GuideDocument[]): GuideIndex {
  const sections = documents.flatMap(cutDocument)
  const index = new MiniSearch<Section & { readonly id: number }>({
    fields: ['page', 'heading', 'body'],
    extractField: (section, field) => {
      if (field === 'page') return section.titles[0] ?? ''
      if (field === 'heading') return section.titles.slice(1).join(' ')
      if (field !== 'body') return String(section.id)
      // An example about the weather does not make a page about the weather; the names in it are what it is about.
      return section.body.replace(/^```[\s\S]*?^```$/gm, (code) => code.match(/[A-Za-z]+(?:_[A-Za-z]+)+/g)?.join(' ') ?? '')
    },
    tokenize: termsOf,
    processTerm: (term) => term,
  })
  index.addAll(sections.map((section, id) => ({ ...section, id })))

  return {
    find(question, language) {
      const asked = new Set(termsOf(question.slice(0, questionLengthMax)))
      // "What is Millrace?" contains no word that distinguishes a section: the introduction answers it.
      if (asked.size === 0 && words(question).includes('millrace'))
        return sections.filter((section) => section.language === language && section.path.startsWith('README')).slice(0, 1)
      const results = index.search([...asked].slice(0, termsMax).join(' '), {
        tokenize: (terms) => terms.split(' '),
        // A name counts more than the words it is made of.
        boostTerm: (term) => (term.includes('_') ? 8 : 1),
        boost: { page: 2, heading: 4 },
        prefix: (term) => term.length > 4,
        fuzzy: (term) => (/^[a-z]{6,}$/.test(term) ? 0.15 : false),
        boostDocument: (id) => boostOf(sections[id] as Section, language),
      })
      const [best] = results
      // A section that shares one word of many is about something else.
      if (best === undefined || (best.queryTerms.length < 3 && best.queryTerms.length * 2 < asked.size)) return []
      return results.filter(({ score }) => score >= best.score * runnerUpScore).map(({ id }) => sections[id] as Section)
    },
  }
}

const questionLengthMax = 1000
const termsMax = 32
/** The score that another section needs, as a share of the best one's, to be part of the answer. */
const runnerUpScore = 0.6

function boostOf({ language, path }: Section, asked: Language): number {
  // The guides explain; the protocol and the table of errors are reference.
  return (language === asked ? 1 : 0.2) * (path.startsWith(guidesFolder) ? 1.5 : 1)
}

/** Lower-case words of both languages. */
export function words(text: string): string[] {
  return [...segmenter.segment(text)].filter(({ isWordLike }) => isWordLike).map(({ segment }) => segment.toLowerCase())
}

/** The words that a text is about. `OPENAI_API_KEY` is also found by its parts. */
export function termsOf(text: string): string[] {
  return words(text).flatMap((word) => {
    const parts = word.split(/[^\p{L}\p{N}]+/u).filter((part) => part !== '' && !stopWords.has(part))
    return (parts[0] === word ? parts : [...(stopWords.has(word) ? [] : [word]), ...parts]).map(singular)
  })
}

const segmenter = new Intl.Segmenter('zh', { granularity: 'word' })

/** Words of every section, or of every question. */
const stopWords = new Set(
  `a an and any are as at be but by can could do does for from get give happen happens has have how i if in into is it its let make many may me mean means my of
  on or our please should so some tell than that the their them then there these this to too us use using want was way we were what when where which who
  why will with would you your millrace
  的 了 是 在 我 你 您 他 它 吗 呢 吧 啊 和 与 或 就 都 也 要 会 能 可以 能够 怎么 样 怎样 如何 怎么样 什么 哪些 哪个 哪里 为什么 一个 一次 这个 那个 一下 请
  请问 告诉 想 有 没有 把 被 让 给 用 使用 到 从 对 时 时候 后 里 上 下 这 那 该`.split(/\s+/),
)

function singular(word: string): string {
  return /^[a-z]{4,}$/.test(word) ? word.replace(/(?<=[^s])s$/, '') : word
}
