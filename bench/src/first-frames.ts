/** How soon first frames come in each dialect while many answers are in progress, and the core is not full. */
import { setTimeout } from 'node:timers/promises'
import type { FirstFrames, QuestionsInTurns } from './asking-dialects.ts'
import { type Dialect, dialectQuestions } from './dialect-questions.ts'
import type { Window } from './load.ts'
import { type Figures, startWorker, type Usage } from './processes.ts'

const dialects = Object.keys(dialectQuestions) as Dialect[]
/** Questions in all dialects together, a second, before the measurement and in it. */
const perSecond = 140
/** In each dialect. */
const count = 300
const tokensPerSecond = 10
/** From the last of the long answers to the measurement. */
const settleMs = 2000

type PerDialect = Record<Dialect, FirstFrames>

/** `runs` answers in all dialects are in progress, while short ones are asked for in turns. */
export async function measureFirstFrames(runs: number): Promise<Figures> {
  const server = startWorker('./servers/millrace.ts', ['memory', '', 'bench:due'])
  const load = startWorker('./load.ts')
  try {
    const port = await server.ask<number>('listen')
    const ask = (questions: Pick<QuestionsInTurns, 'count' | 'tokens' | 'tokensPerSecond'>) =>
      load.ask<PerDialect>('askInTurns', { port, dialects, perSecond, ...questions })
    await ask({ count: 100, tokens: 5, tokensPerSecond: 50 })
    const each = Math.ceil(runs / dialects.length)
    const startMs = ((each * dialects.length) / perSecond) * 1000
    const askMs = ((count * dialects.length) / perSecond) * 1000
    const tokens = Math.ceil(((startMs + settleMs + askMs + 2000) / 1000) * tokensPerSecond)
    const longAnswers = ask({ count: each, tokens, tokensPerSecond })
    await setTimeout(startMs + settleMs)
    await Promise.all([server.ask('begin'), load.ask('begin')])
    const answers = await ask({ count, tokens: 5, tokensPerSecond: 50 })
    const [usage, window] = await Promise.all([server.ask<Usage>('end'), load.ask<Window>('end')])
    return {
      complete: sum(await longAnswers) + sum(answers),
      ...Object.fromEntries(dialects.flatMap((dialect) => figuresOf(answers, dialect))),
      p99Ms: window.p99Ms,
      serverCores: usage.cpuMs / usage.wallMs,
      loadCores: window.cpuMs / window.wallMs,
    }
  } finally {
    await Promise.all([load.stop(), server.stop()])
  }
}

function figuresOf(answers: PerDialect, dialect: Dialect): [string, number][] {
  const { firstP50Ms, firstP99Ms } = answers[dialect]
  return [
    [`firstP50Ms, ${dialect}`, firstP50Ms],
    [`firstP99Ms, ${dialect}`, firstP99Ms],
    [`addedP99Ms, ${dialect}`, firstP99Ms - answers.native.firstP99Ms],
  ]
}

function sum(answers: PerDialect): number {
  return Object.values(answers).reduce((total, { complete }) => total + complete, 0)
}
