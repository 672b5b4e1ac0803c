/**
 * Simulated models for tests, demonstrations and benchmarks: exact in content and timing, with faults on request. They
 * are not language models.
 */
import { MillraceError, type Usage } from '@millrace/protocol'
import { readContinuation, withoutSaid } from '../continuation.ts'
import type { Model, ModelInfo, ModelMessage, ModelPart, ModelProvider, ModelRequest, TakenParam } from '../model.ts'
import { parseSimulation, type SimulationOptions } from './options.ts'
import { createTicker, type Ticker } from './ticker.ts'
import { callsOrAnswer, simulatedTools } from './tools.ts'

/** Tokens without a pause at an unlimited rate; then the event loop gets a turn. */
const tokensPerTick = 64

const menu: readonly ModelInfo[] = [
  ['sim:count', 'Counts: 1 2 3 … Also sim:count?n=500&tps=100'],
  ['sim:echo', 'Says what you said; ?show=messages says what it was given'],
  ['sim:lorem', 'Speaks without meaning; ?lang=zh in Chinese'],
  ['sim:think', 'Thinks before it counts'],
  ['sim:fail', 'Fails after 20 tokens; ?after= says when'],
  ['sim:hang', 'Stops talking after 20 tokens and never ends'],
  ['sim:tool', 'Calls a tool and says what it returned; ?approve=1 asks you before'],
  ['sim:file', 'Counts, gives a small picture, and counts on'],
].map(([name = '', description = '']) => ({ name, description, languageModel: false, accepts: acceptedBy(name.slice(4)) }))

export function simulationProvider(ticker: Ticker = createTicker()): ModelProvider {
  return {
    prefix: 'sim',
    list: () => menu,
    open: (name) => simulation(name, ticker),
  }
}

function simulation(name: string, ticker: Ticker): Model {
  const options = parseSimulation(name)
  return {
    name,
    takes: options.kind === 'echo' ? everyParam : [],
    accepts: acceptedBy(options.kind),
    ...(options.kind === 'tool' && { tools: simulatedTools(options) }),
    async *stream(request) {
      const { messages, signal } = request
      const { question, said: before } = readContinuation(messages)
      const pace = createPace(options, ticker, signal)
      let said = 0
      let thought = 0
      let hasCalls = false
      const parts =
        options.kind === 'tool'
          ? callsOrAnswer(options, request)
          : withoutSaid(script(options, options.kind === 'echo' ? echo(options, request, question) : ''), before)
      for (const part of parts) {
        const wait = pace()
        if (wait !== undefined) await wait
        if (signal.aborted) return
        if (typeof part === 'object' && 'reasoning' in part) thought += 1
        hasCalls ||= typeof part === 'object' && 'toolCall' in part
        if (typeof part !== 'object' || !('file' in part)) said += 1
        yield part
      }
      if (options.kind === 'fail')
        throw new MillraceError(options.code, { message: `The simulation failed after ${said} tokens, as asked.` })
      if (options.kind === 'hang') return untilAborted(signal)
      yield { usage: usage(messages, said, thought) }
      yield { finishReason: hasCalls ? 'tool_calls' : 'stop' }
    },
  }
}

function acceptedBy(kind: string): readonly string[] {
  return kind === 'echo' ? ['*/*'] : []
}

/** A continuation shows the request that it continues. */
function echo({ show }: SimulationOptions, { messages, params = {} }: ModelRequest, question: string): string {
  if (show === 'text') return question
  const { length } = readContinuation(messages).said === '' ? messages : messages.slice(2)
  const given = messages.slice(0, length)
  return JSON.stringify(show === 'messages' ? given : { messages: given, params })
}

function* script(options: SimulationOptions, question: string): Generator<ModelPart> {
  const { kind, n, after, think } = options
  if (kind === 'count') yield* count(n)
  else if (kind === 'echo')
    for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'word' }).segment(question)) yield segment
  else if (kind === 'lorem') yield* lorem(options)
  else if (kind === 'think') {
    for (const token of count(think)) yield { reasoning: token }
    yield* count(n)
  } else if (kind === 'file') {
    yield* count(after)
    yield { file: { mediaType: 'image/png', name: 'wheel.png', bytes: Buffer.from(wheel, 'base64') } }
    yield* count(2 * after, after + 1)
  } else {
    yield* count(after)
    // What a faulty provider may send: not a part, and not even an object.
    if (kind === 'garbage') yield 0xdead as never
  }
}

/** An echo shows them and does nothing else with them. */
const everyParam: readonly TakenParam[] = [
  'temperature',
  'topP',
  'maxOutputTokens',
  'stop',
  'seed',
  'reasoningEffort',
  'responseFormat',
  'responseFormat.json_schema',
  'toolChoice',
  'provider',
]

function* count(n: number, first = 1): Generator<string> {
  for (let number = first; number <= n; number++) yield `${number} `
}

/** A mill wheel of 64 by 64. */
const wheel =
  'iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEX///8OdJDkANHCAAAAAXRSTlMAQObYZgAAAPRJREFUeNp9UrtqxDAQHLO' +
  'FS/9B9COH81suDPaRH9twxZX5hBiuSBlBighyeLMrhTlXWYM1oNnXjIBDPN/bKWZawWCW241Zu7Pb1SplF12C1BfRtAV3E+2DnVbRrkQSRBFpc4' +
  'DRwR5gAToLYCvkM8jfCvlQUf+hv0Sdy4b+nEWH84ZhjRZdxoBZdERGwig6o+AJSbRg8uLDy2v2Ricv4Mkn/+R21Qq6r7fVjxn4eYdTJ2DZ4clTW' +
  '7mCVAIsVmP/D5B8TG8F2YJND2P8DcZROTzX4YJcmSJQFgpF6Sgm5X0ITgtoCm2icbSS5j7s5gPgk+AjafELIiW9qRdHE/YAAAAASUVORK5CYII='

const syllables = {
  en: 'river stone light water mill wheel slow morning field grain stream turn over under bright quiet hand road'.split(' '),
  zh: '水 流 石 光 磨 轮 晨 田 谷 溪 转 静 手 路 风 月 山 云'.split(' '),
}

function* lorem({ n, lang, seed }: SimulationOptions): Generator<string> {
  const random = seeded(seed)
  for (let index = 1; index <= n; index++) {
    const word = syllables[lang][Math.floor(random() * syllables[lang].length)] as string
    if (lang === 'zh') yield index % 12 === 0 || index === n ? `${word}。` : word
    else yield index % 12 === 0 || index === n ? `${word}. ` : `${word} `
  }
}

/**
 * Undefined if the next token is due, else a promise that waits for it. Times are counted from the start, so that a late
 * token does not delay the next ones: the rate is exact in the long run.
 */
function createPace(
  { tps, ttft, jitter, seed }: SimulationOptions,
  ticker: Ticker,
  signal: AbortSignal,
): () => Promise<void> | undefined {
  const random = seeded(seed)
  const start = ticker.now() + ttft
  let tokens = 0
  let interrupt = () => {}
  // One listener for all waits: at thousands of tokens a second, one for each would be most of the work.
  signal.addEventListener('abort', () => interrupt(), { once: true })

  return () => {
    const index = tokens++
    const stray = jitter === 0 ? 0 : (random() - 0.5) * jitter
    const due = tps === 0 ? start : start + ((index + stray) * 1000) / tps
    if (due > ticker.now()) return until(due)
    return tps === 0 && index % tokensPerTick === tokensPerTick - 1 ? new Promise(setImmediate) : undefined
  }

  /** Resolves at the time, or at once when the signal aborts, and leaves no timer behind. */
  function until(time: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ticker.at(time, resolve)
      interrupt = () => {
        cancel()
        resolve()
      }
      if (signal.aborted) interrupt()
    })
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function usage(messages: readonly ModelMessage[], outputTokens: number, reasoningTokens: number): Omit<Usage, 'estimated'> {
  const inputTokens = messages.reduce(
    (sum, { text }) => sum + (text.match(/\p{Script=Han}|[^\s\p{Script=Han}]+/gu)?.length ?? 0),
    0,
  )
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens, ...(reasoningTokens > 0 && { reasoningTokens }) }
}

/** mulberry32: small, and deterministic on every machine. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
