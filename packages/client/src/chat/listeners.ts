/** What an application does when a run ends or calls one of its tools. */
import type { CallDecision, LanePart, SessionEvent } from '@millrace/protocol'
import type { Session } from '../session.ts'
import { notifyAll } from '../status.ts'
import type { Locks } from '../tabs/lock.ts'
import type { ChatOptions, ClientCall } from './chat.ts'
import { type ChatRun, joinTranscript, lastRun } from './fold.ts'
import type { Questions } from './questions.ts'

export interface Listeners {
  /** Of each the last one given counts. */
  use(options: Pick<ChatOptions, 'onEnd' | 'onToolCall'>): void
  /** `runs`: with the event. */
  notify(runs: readonly ChatRun[], event: SessionEvent): void
  /** Executes the calls that wait, of runs that were asked here, also before the page was loaded. */
  executeWaiting(runs: readonly ChatRun[]): void
}

export function createListeners(
  session: Pick<Session, 'id' | 'read'>,
  { isAsked }: Pick<Questions, 'isAsked'>,
  decide: (run: string, decisions: readonly CallDecision[]) => Promise<unknown>,
): Listeners {
  let { onEnd, onToolCall }: Pick<ChatOptions, 'onEnd' | 'onToolCall'> = {}
  /** Calls that are or were executed: a run that goes on with one repeats it. */
  const executed = new Set<string>()

  return {
    use(options) {
      onEnd = options.onEnd ?? onEnd
      onToolCall = options.onToolCall ?? onToolCall
    },
    notify(runs, event) {
      if (event.type !== 'stream_end' && event.type !== 'tool_call') return
      const run = runs.findLast((one) => lastRun(one) === event.data.run)
      if (run === undefined) return
      if (event.type === 'stream_end') return notifyAll(onEnd ? [onEnd] : [], run)
      const { call, name, arguments: given, by } = event.data
      if (by === 'client') void execute({ call, name, arguments: given, run: run.run })
    },
    executeWaiting(runs) {
      if (onToolCall === undefined) return
      for (const { run, lanes } of runs)
        for (const part of isAsked(run) ? lanes.flatMap(({ parts }) => parts) : [])
          if (isWaiting(part)) void execute({ call: part.call, name: part.name, arguments: part.arguments ?? {}, run })
    },
  }

  /** Never rejects. */
  async function execute(given: ClientCall): Promise<void> {
    const { run, call } = given
    const key = `${run} ${call}`
    const onCall = onToolCall
    if (onCall === undefined || !isAsked(run) || executed.has(key)) return
    executed.add(key)
    // Another tab may have executed it. Or somebody else is quicker: what counts is in the log.
    await alone(`millrace.call ${session.id} ${key}`, async () => {
      if (!(await stillWaits(given))) return
      const result = await Promise.resolve(given)
        .then(onCall)
        .then(
          (value) => ({ value }),
          (cause: unknown) => ({ value: String(cause), isError: true }),
        )
      if (result.value !== undefined) await decide(run, [{ call, decision: 'result', ...result, value: result.value }])
    }).catch(() => executed.delete(key))
  }

  async function stillWaits({ run, call }: ClientCall): Promise<boolean> {
    const now = joinTranscript(await session.read()).runs.find((one) => one.run === run)
    return now?.lanes.some(({ parts }) => parts.some((part) => isWaiting(part) && part.call === call)) ?? false
  }
}

function isWaiting(part: LanePart): part is Extract<LanePart, { readonly type: 'tool' }> {
  return part.type === 'tool' && part.by === 'client' && part.state === 'waiting'
}

/** In one tab at a time, where there are Web Locks. */
async function alone(name: string, act: () => Promise<void>): Promise<void> {
  const { locks } = (globalThis as { navigator?: { locks?: Locks } }).navigator ?? {}
  await (locks === undefined ? act() : locks.request(name, {}, act))
}
