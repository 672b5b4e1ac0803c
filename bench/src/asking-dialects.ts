/** The load's questions in dialects: how many answers had every token, and how soon their first frames came. */
import { setTimeout } from 'node:timers/promises'
import { type Dialect, dialectQuestions } from './dialect-questions.ts'
import { openReader, quantile, type Tally } from './reader.ts'

export interface DialectQuestions {
  readonly port: number
  readonly dialect: Dialect
  readonly count: number
  readonly tokens: number
}

export interface QuestionsInTurns {
  readonly port: number
  readonly dialects: readonly Dialect[]
  /** Of all dialects together. */
  readonly perSecond: number
  /** In each dialect. */
  readonly count: number
  readonly tokens: number
  readonly tokensPerSecond: number
}

export interface FirstFrames {
  readonly complete: number
  readonly firstP50Ms: number
  readonly firstP99Ms: number
}

interface Answer {
  readonly firstMs: number
  readonly isWhole: boolean
}

/** Asks within a second. */
export async function askDialect({ port, dialect, count, tokens }: DialectQuestions, tally: () => Tally): Promise<FirstFrames> {
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      await setTimeout((index / count) * 1000)
      return ask({ port, dialect, question: `${tokens}`, tokens }, tally)
    }),
  )
  return summed(answers)
}

/** Asks at a steady rate, one question in each dialect after the other. */
export async function askInTurns(
  { port, dialects, perSecond, count, tokens, tokensPerSecond }: QuestionsInTurns,
  tally: () => Tally,
): Promise<Partial<Record<Dialect, FirstFrames>>> {
  const asked = await Promise.all(
    Array.from({ length: count * dialects.length }, async (_, index) => {
      await setTimeout((index / perSecond) * 1000)
      const dialect = dialects[index % dialects.length] as Dialect
      return { dialect, answer: await ask({ port, dialect, question: `${tokens},${tokensPerSecond}`, tokens }, tally) }
    }),
  )
  const of = (name: Dialect) => asked.filter(({ dialect }) => dialect === name).map(({ answer }) => answer)
  return Object.fromEntries(dialects.map((dialect) => [dialect, summed(of(dialect))]))
}

interface Question {
  readonly port: number
  readonly dialect: Dialect
  readonly question: string
  readonly tokens: number
}

function ask({ port, dialect, question, tokens }: Question, tally: () => Tally): Promise<Answer> {
  const { ask, field } = dialectQuestions[dialect]
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const askedAt = performance.now()
  let firstMs = Number.NaN
  const reader = openReader({
    port,
    request: ask(question),
    field,
    tally,
    isExact: true,
    onFirstEvent: () => {
      firstMs = performance.now() - askedAt
    },
    onClose: () => resolve({ firstMs, isWhole: reader.events >= tokens }),
  })
  return promise
}

function summed(answers: readonly Answer[]): FirstFrames {
  const firstMs = answers.map((answer) => answer.firstMs).filter((ms) => !Number.isNaN(ms))
  return {
    complete: answers.filter(({ isWhole }) => isWhole).length,
    firstP50Ms: quantile(firstMs, 0.5),
    firstP99Ms: quantile(firstMs, 0.99),
  }
}
