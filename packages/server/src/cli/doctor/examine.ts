/** All checks of one address, in bounded time. */
import { examineHttpVersion, examineTls, examineWebSocket } from './connections.ts'
import { type Finding, problem } from './finding.ts'
import { examineExposure, examineOrigins } from './pages.ts'
import { type Reached, reach, Unreached } from './reach.ts'
import { examineClock, examineHeaders, examinePace, examineSilence } from './streams.ts'
import { examineToken } from './token.ts'

export interface ExamineOptions {
  readonly url: URL
  /** As a page gets it. */
  readonly token?: string | undefined
  /** Of pages that should be able to use the server. */
  readonly origins?: readonly string[]
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
}

export interface Report {
  readonly url: string
  readonly proxy: Reached['proxy'] | null
  readonly version: string | null
  readonly findings: readonly Finding[]
}

/** Two heartbeats of the longest kind. */
const totalMsMax = 60_000

export async function examine({ url, token, origins = [], now = Date.now }: ExamineOptions): Promise<Report> {
  const base = new URL(url)
  base.search = base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  const given = { base, isVerified: true, signal: AbortSignal.timeout(totalMsMax) }
  try {
    return await examineReached(await reach(given), { token, origins, now })
  } catch (error) {
    if (!(error instanceof Unreached)) throw error
    return { url: base.href, proxy: null, version: null, findings: [error.finding] }
  }
}

type Options = Required<Pick<ExamineOptions, 'origins' | 'now'>> & Pick<ExamineOptions, 'token'>

async function examineReached(reached: Reached, { token, origins, now }: Options): Promise<Report> {
  const { target, stream, seen, proxy, findings } = reached
  const sentToken = target.isVerified ? token : undefined
  const found = await Promise.all(
    [
      examineTls(target),
      examineHttpVersion(target),
      examinePace(stream),
      examineSilence(target, seen),
      examineWebSocket(target, seen, sentToken),
      examineHeaders(seen, { proxy, isTls: target.base.protocol === 'https:' }),
      examineClock(stream, now() - performance.now()),
      examineOrigins(target, origins),
      examineExposure(target),
      examineToken(target, token, now()),
    ].map((each) => Promise.resolve(each).catch(failed)),
  )
  return { url: target.base.href, proxy: proxy ?? null, version: seen.version, findings: [...findings, ...found.flat()] }
}

/** A check whose requests get no response, although the first did. */
function failed(error: Error): Finding[] {
  return [problem('unreachable', `A request got no response: ${error.message}.`)]
}
