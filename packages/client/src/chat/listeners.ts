/** What an application does when a run ends or calls one of its tools. */
import type { CallDecision, SessionEvent } from '@millrace/protocol'
import { notifyAll } from '../status.ts'
import type { ChatOptions, ClientCall } from './chat.ts'
import { type ChatRun, lastRun } from './fold.ts'

export interface Listeners {
  /** Of each the last one given counts. */
  use(options: Pick<ChatOptions, 'onEnd' | 'onToolCall'>): void
  /** `runs`: with the event. */
  notify(runs: readonly ChatRun[], event: SessionEvent): void
}

export function createListeners(
  isAsked: (run: string) => boolean,
  decide: (run: string, decisions: readonly CallDecision[]) => unknown,
): Listeners {
  let { onEnd, onToolCall }: Pick<ChatOptions, 'onEnd' | 'onToolCall'> = {}
  /** Calls that were executed: a run that goes on with one repeats it. */
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
      const key = `${run.run} ${call}`
      if (by !== 'client' || onToolCall === undefined || !isAsked(run.run) || executed.has(key)) return
      executed.add(key)
      void execute(onToolCall, { call, name, arguments: given, run: run.run })
    },
  }

  /** Never rejects. */
  async function execute(onCall: NonNullable<typeof onToolCall>, given: ClientCall): Promise<void> {
    const { run, call } = given
    try {
      const value = await onCall(given)
      if (value !== undefined) void decide(run, [{ call, decision: 'result', value }])
    } catch (cause) {
      void decide(run, [{ call, decision: 'result', value: String(cause), isError: true }])
    }
  }
}
