import { readdir } from 'node:fs/promises'
import { MillraceError } from '@millrace/protocol'
import { describe, expect, it, vi } from 'vitest'
import { continuation } from '../continuation.ts'
import type { ModelPart, ModelRequest } from '../model.ts'
import { readDocuments } from './documents.ts'
import { type GuideOptions, guideProvider } from './index.ts'
import { createGuideIndex } from './search-index.ts'

const disclaimers = {
  en: /is the built-in guide, not a language model\..*OPENAI_API_KEY.*Ollama.*--model/,
  zh: /是内置指南，不是语言模型。.*OPENAI_API_KEY.*Ollama.*--model/,
}
const shared = guideProvider({ tps: 0 })

function stream(
  question: string,
  { signal = new AbortController().signal, ...options }: GuideOptions & { signal?: AbortSignal } = {},
) {
  const provider = Object.keys(options).length === 0 ? shared : guideProvider({ tps: 0, ...options })
  const request: ModelRequest = { messages: [{ role: 'user', text: question }], signal }
  const model = provider.open('builtin:guide')
  if (model instanceof Promise) throw new Error('The guide is there at once.')
  return model.stream(request)[Symbol.asyncIterator]()
}

async function collect(parts: AsyncIterator<ModelPart>): Promise<ModelPart[]> {
  const collected: ModelPart[] = []
  for (let next = await parts.next(); !next.done; next = await parts.next()) collected.push(next.value)
  return collected
}

async function ask(question: string, options?: GuideOptions): Promise<string> {
  return (await collect(stream(question, options))).filter((part) => typeof part === 'string').join('')
}

const lastLine = (text: string) => text.slice(text.lastIndexOf('\n') + 1)

describe('what the guide finds', () => {
  it.each([
    ['How do I resume a stream?', 'how-it-works.md', 'Last-Event-ID'],
    ['How do I stop an answer?', 'http.md', '/stop'],
    ['How do I use a real model?', 'models.md', 'OPENAI_API_KEY=sk-… npm start'],
    ['Can I use it with Express?', 'library.md', 'app.use(millrace.handler)'],
    ['Which simulated models are there?', 'models.md', 'sim:hang'],
    ['Does reloading the page lose anything?', 'how-it-works.md', 'A reload closes a connection'],
    ['How do I change the port?', 'deploy.md', '--port 8080'],
    ['What is a rolling restart?', 'deploy.md', 'SIGTERM'],
    ['nginx', 'proxies.md', 'proxy_pass'],
    ['What survives a power loss?', 'engines.md', '--durability disk'],
    ['How do I wait for replicas of Redis?', 'redis.md', 'min-replicas-to-write'],
    ['How do I back up SQLite?', 'sqlite.md', 'millrace.*'],
    ['What happens when the disk is full?', 'sqlite.md', 'log_full'],
    ['How do I delete a session?', 'retention.md', 'BGREWRITEAOF'],
    ['How many runs may be in progress?', 'limits.md', 'how many runs may be in progress'],
  ])('answers %j from %s', async (question, page, words) => {
    const text = await ask(question)
    expect(text.match(/Source: `(.*)`/)?.[1]).toBe(`docs/guides/${page}`)
    expect(text).toContain(words)
    expect(lastLine(text)).toMatch(disclaimers.en)
  })

  it.each([
    ['怎么停止一个回答？', 'http.zh-CN.md', '/stop'],
    ['断线后怎么续传？', 'how-it-works.zh-CN.md', 'Last-Event-ID'],
    ['怎么使用真正的模型？', 'models.zh-CN.md', 'OPENAI_API_KEY=sk-… npm start'],
    ['刷新页面会丢失内容吗？', 'how-it-works.zh-CN.md', '刷新只是关掉了连接'],
    ['如何在 Express 里使用？', 'library.zh-CN.md', 'app.use(millrace.handler)'],
    ['怎么修改端口？', 'deploy.zh-CN.md', '--port 8080'],
    ['有哪些模拟模型？', 'models.zh-CN.md', 'sim:hang'],
    ['nginx 怎么配置？', 'proxies.zh-CN.md', 'proxy_pass'],
    ['断电之后会丢失什么？', 'engines.zh-CN.md', '--durability disk'],
    ['怎么备份 SQLite？', 'sqlite.zh-CN.md', 'millrace.*'],
    ['怎么删除会话？', 'retention.zh-CN.md', 'BGREWRITEAOF'],
  ])('answers %j from %s', async (question, page, words) => {
    const text = await ask(question)
    expect(text.match(/出处：`(.*)`/)?.[1]).toBe(`docs/guides/${page}`)
    expect(text).toContain(words)
    expect(lastLine(text)).toMatch(disclaimers.zh)
  })

  it.each([
    'hello',
    'Hi!',
    '你好',
    '您好！',
    'What is the capital of France?',
    '法国的首都是哪里？',
    '今天天气怎么样',
    '',
    '???',
    'the '.repeat(10_000),
  ])('greets, or says that it found nothing, and gives three things to try that find something (%#)', async (question) => {
    const text = await ask(question)
    const tries = [...text.matchAll(/^- (.*)$/gm)].map(([, each]) => each as string)
    expect(tries).toHaveLength(3)
    for (const each of tries) expect(await ask(each)).toMatch(/(Source: |出处：)`docs\/guides/)
    expect(lastLine(text)).toMatch(/\p{Script=Han}/u.test(question) ? disclaimers.zh : disclaimers.en)
  })

  it('keeps blocks of code whole, makes relative links plain, leaves absolute ones', async () => {
    const code = `\`\`\`js\n# no heading\n\n${'line()\n'.repeat(300)}\`\`\``
    const text = `# Page\n\n## Wheels\n\nSee [turning](turning.md) and [more](https://example.org/).\n\n${code}`
    const answer = await ask('wheels?', { load: async () => [{ path: 'docs/guides/page.md', text }] })
    expect(answer).toContain('See turning and [more](https://example.org/).')
    expect(answer).not.toContain('```')
    expect(answer).toContain('There is more in the document.')
    const alone = await ask('wheels?', { load: async () => [{ path: 'docs/guides/page.md', text: `## Wheels\n\n${code}` }] })
    expect(alone).toContain(code)
  })

  it('shows of a long table the rows that were asked for', async () => {
    const rows = Array.from({ length: 60 }, (_, row) => `| code_number${row} | what to do about the error of row ${row} |`)
    const text = `# Errors\n\n| code | meaning |\n|---|---|\n${rows.join('\n')}`
    const answer = await ask('code_number42 meaning', { load: async () => [{ path: 'docs/errors.md', text }] })
    expect(answer).toContain(rows[42])
    expect(answer).not.toContain(rows[0])
  })

  it('takes a name as a whole before the words that it is made of', async () => {
    const text = '# Errors\n\n## Many runs\n\nRuns, and many of them.\n\n## Codes\n\nThere is `too_many_runs`, among others.'
    const answer = await ask('What does too_many_runs mean?', { load: async () => [{ path: 'docs/guides/page.md', text }] })
    expect(answer).toContain('### Codes')
    expect(answer).not.toContain('### Many runs')
  })

  it('knows every document that there is, and none that is not', async () => {
    const paths = (await readDocuments()).map(({ path }) => path)
    expect(paths).toContain('PROTOCOL.md')
    const guides = await readdir(new URL('../../../../../docs/guides', import.meta.url))
    expect(paths.filter((path) => path.startsWith('docs/guides/'))).toEqual(guides.map((name) => `docs/guides/${name}`))
    expect(createGuideIndex([]).find('resume', 'en')).toEqual([])
    expect(lastLine(await ask('resume', { load: async () => [] }))).toMatch(disclaimers.en)
  })
})

describe('asked what Millrace is', () => {
  it.each(['What is Millrace?', 'Millrace 是什么？'])('%s begins at the beginning', async (question) => {
    expect(await ask(question)).toMatch(/README(\.zh-CN)?\.md/)
  })
})

describe('how the guide speaks', () => {
  it('streams words that joined are the answer, then usage and its end', async () => {
    const load = async () => [{ path: 'docs/guides/wheel.md', text: '# Wheel\n\nThe wheel  turns;\n水轮转动。' }]
    const parts = await collect(stream('wheel', { load }))
    const tokens = parts.slice(0, -2).filter((part) => typeof part === 'string')
    expect(tokens.join('')).toContain('The wheel  turns;\n水轮转动。\n\nSource: `docs/guides/wheel.md`')
    expect(tokens).toContain('wheel  ')
    expect(parts.slice(-2)).toEqual([
      { usage: { inputTokens: 1, outputTokens: tokens.length, totalTokens: tokens.length + 1 } },
      { finishReason: 'stop' },
    ])
  })

  it('goes on with an answer that was cut, to the same words', async () => {
    const model = await guideProvider({ tps: 0 }).open('builtin:guide')
    const signal = new AbortController().signal
    const answerTo = async (said: string) => {
      const messages = [{ role: 'user' as const, text: 'How do I resume a stream?' }, ...continuation(said)]
      const parts = await collect(model.stream({ messages, signal })[Symbol.asyncIterator]())
      return parts.filter((part) => typeof part === 'string').join('')
    }
    const whole = await answerTo('')
    for (const cut of [1, 60, whole.length - 1]) expect(await answerTo(whole.slice(0, cut))).toBe(whole.slice(cut))
  })

  it('reads nothing before the first question, and then once', async () => {
    const load = vi.fn(readDocuments)
    const provider = guideProvider({ tps: 0, load })
    const model = await provider.open('builtin:guide')
    provider.list()
    const signal = new AbortController().signal
    const first = model.stream({ messages: [{ role: 'user', text: 'resume' }], signal })
    expect(load).not.toHaveBeenCalled()
    const again = model.stream({ messages: [{ role: 'user', text: 'resume' }], signal })
    const [one, two] = await Promise.all([first, again].map((parts) => collect(parts[Symbol.asyncIterator]())))
    expect(one).toEqual(two)
    expect(load).toHaveBeenCalledTimes(1)
  })

  it('reads again after the disk has failed', async () => {
    const load = vi.fn(readDocuments).mockRejectedValueOnce(new Error('disk'))
    const model = await guideProvider({ tps: 0, load }).open('builtin:guide')
    const ask = () => collect(model.stream({ messages: [], signal: new AbortController().signal })[Symbol.asyncIterator]())
    await expect(ask()).rejects.toThrow('disk')
    await expect(ask()).resolves.not.toEqual([])
  })

  it('ends at once when it is stopped between two words, and leaves no timer behind', async () => {
    const abort = new AbortController()
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    // The next word is due in a quarter of an hour.
    const parts = stream('hello', { tps: 0.001, signal: abort.signal })
    expect((await parts.next()).done).toBe(false)
    const before = timers()
    const next = parts.next()
    expect(timers()).toBe(before + 1)
    abort.abort()
    expect(timers()).toBe(before)
    expect(await next).toEqual({ done: true, value: undefined })
  })

  it('says nothing when it is stopped before it began', async () => {
    expect(await collect(stream('hello', { signal: AbortSignal.abort() }))).toEqual([])
  })
})

describe('what the guide is called', () => {
  it('is listed as what it is', () => {
    const description = expect.stringContaining('not a language model')
    expect(shared.list()).toEqual([{ name: 'builtin:guide', description, languageModel: false, accepts: [] }])
  })

  it.each(['builtin:', 'builtin:other', 'builtin', 'builtin:guide?x=1'])('refuses %j', (name) => {
    expect(() => shared.open(name)).toThrow(expect.objectContaining({ code: 'model_not_found', constructor: MillraceError }))
  })
})
