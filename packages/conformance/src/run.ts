/** Runs suites against a server, one case after another, and says how each went. */
import { answerSuites } from './answers.ts'
import type { Case, Suite, Target } from './case.ts'
import { channelSuite } from './channels.ts'
import { dialectSuites } from './dialects/index.ts'
import { errorSuite } from './errors.ts'

/** By what they check; a name may be asked for alone. */
export const suites: readonly Suite[] = [...answerSuites, channelSuite, errorSuite, ...dialectSuites]

export interface Checked {
  readonly suite: string
  /** Undefined where the suite was skipped. */
  readonly name: string | undefined
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Of a failure what is wrong; of a suite that was skipped why. */
  readonly reason: string | undefined
}

const caseMs = 60_000

/** Checks a server that runs, one case after another; yields each result. A case that fails is a result: nothing rejects. */
export async function* checkServer(
  server: Omit<Target, 'signal'>,
  chosen: readonly Suite[] = suites,
): AsyncGenerator<Checked, void> {
  for (const suite of chosen) {
    const { name } = suite
    const reason = await suite.skip?.({ ...server, signal: AbortSignal.timeout(caseMs) }).catch(textOf)
    if (reason !== undefined) yield { suite: name, name: undefined, outcome: 'skipped', reason }
    else for (const one of suite.cases) yield { suite: name, name: one.name, ...(await checkCase(server, one)) }
  }
}

async function checkCase(server: Omit<Target, 'signal'>, one: Case): Promise<Pick<Checked, 'outcome' | 'reason'>> {
  const ending = new AbortController()
  const timer = setTimeout(() => ending.abort(new Error(`not done after ${caseMs / 1000} s`)), caseMs)
  try {
    await one.run({ ...server, signal: ending.signal })
    return { outcome: 'passed', reason: undefined }
  } catch (error) {
    return { outcome: 'failed', reason: textOf(error) }
  } finally {
    clearTimeout(timer)
    // Closes what the case has left open.
    ending.abort()
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
