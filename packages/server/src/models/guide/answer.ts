/** The guide's answer: sections of the documents, and the note that it is not a language model, in the question's language. */
import type { Language, Section } from './documents.ts'

/** The length of a section, beyond which paragraphs are left out. A block of code is never cut. */
const bodyLengthMax = 1000
const rowsMax = 4

const phrases = {
  en: {
    found: 'From Millrace’s own documents:',
    more: 'There is more in the document. ',
    source: 'Source: ',
    hello: 'Hello! I am Millrace’s built-in guide. I look up questions about Millrace in its documents. Three things to try:',
    nothing: 'I have found nothing about that: I know Millrace’s documents and nothing else. Three things to try:',
    tries: ['How do I resume a stream?', 'How do I use a real model?', 'How do I stop an answer?'],
    disclaimer:
      'This is the built-in guide, not a language model. For a real one set `OPENAI_API_KEY` or another provider’s key, or run Ollama, and start Millrace again; `--model` chooses one by name.',
  },
  zh: {
    found: '以下内容来自 Millrace 自己的文档：',
    more: '文档中还有更多内容。',
    source: '出处：',
    hello: '你好！我是 Millrace 的内置指南，可以在它的文档里查找与 Millrace 有关的问题。不妨试试：',
    nothing: '没有找到相关内容：我只了解 Millrace 的文档。不妨试试：',
    tries: ['断线后怎么续传？', '怎么使用真正的模型？', '怎么停止一个回答？'],
    disclaimer:
      '这是内置指南，不是语言模型。要使用真正的模型，请设置 `OPENAI_API_KEY` 或其他供应商的密钥，或者运行 Ollama，然后重新启动 Millrace；也可以用 `--model` 指定模型。',
  },
} as const satisfies Record<Language, object>

export function languageOf(question: string): Language {
  return /\p{Script=Han}/u.test(question) ? 'zh' : 'en'
}

export function isGreeting(question: string): boolean {
  return /^(hello|hi|hey|good (morning|afternoon|evening)|你好|您好|嗨|哈喽|早上好|下午好|晚上好)([\s,，]+(there|millrace))?[\s!！.。~～?？]*$/iu.test(
    question.trim(),
  )
}

export function introduce(language: Language, { greeted }: { greeted: boolean }): string {
  const { hello, nothing, tries, disclaimer } = phrases[language]
  return [greeted ? hello : nothing, tries.map((question) => `- ${question}`).join('\n'), disclaimer].join('\n\n')
}

/** `relevance` is the share of the question that a table row contains. */
export function answerFrom(sections: readonly Section[], language: Language, relevance: (row: string) => number): string {
  const { found, source, more, disclaimer } = phrases[language]
  const texts = sections.map(({ titles, body, path }) => {
    const { text, isWhole } = trim(body, relevance)
    return [`### ${titles.at(-1)}`, text, `${isWhole ? '' : more}${source}\`${path}\``].join('\n\n')
  })
  return [found, ...texts, disclaimer].join('\n\n')
}

function trim(body: string, relevance: (row: string) => number): { text: string; isWhole: boolean } {
  const blocks = blocksOf(body)
  const kept: string[] = []
  let length = 0
  let isWhole = true
  for (const block of blocks) {
    const short = block.startsWith('|') ? trimTable(block, relevance) : block
    if (kept.length > 0 && length + short.length > bodyLengthMax) break
    kept.push(block.startsWith('```') ? block : plainLinks(short))
    length += short.length
    isWhole &&= short === block
  }
  // The sentence before an omitted block would announce nothing.
  while (kept.length > 1 && kept.length < blocks.length && /[:：]$/.test(kept.at(-1) as string)) kept.pop()
  return { text: kept.join('\n\n'), isWhole: isWhole && kept.length === blocks.length }
}

/** Keeps of a long table the rows that contain most of the question, or else its first ones. */
function trimTable(table: string, relevance: (row: string) => number): string {
  if (table.length <= bodyLengthMax) return table
  const [head = '', line = '', ...rows] = table.split('\n')
  const relevances = rows.map(relevance)
  const most = Math.max(...relevances)
  return [head, line, ...rows.filter((_, row) => relevances[row] === most).slice(0, rowsMax)].join('\n')
}

/** Paragraphs, lists, tables and blocks of code, which may contain empty lines. */
function blocksOf(body: string): string[] {
  return body.match(/^```[\s\S]*?^```$|^(?!```).*\S.*(?:\n(?!```).+)*/gm) ?? []
}

/** Removes links to other files, which the reader of the answer does not have. */
function plainLinks(markdown: string): string {
  return markdown.replace(/!\[[^\]]*\]\([^)]*\)/g, '').replace(/\[([^\]]*)\]\((?!https?:)[^)]*\)/g, '$1')
}
