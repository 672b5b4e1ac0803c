/** Runs of a log that wait for decisions about their calls, as far as the log was read. Pure. */
import type { SessionEvents } from '@millrace/protocol'
import type { LogEvent } from '../log/log.ts'

/** Older ones go on only by a request. */
const runsMax = 1000

export class WaitingRuns {
  /** Calls that wait, or will where their lane ends so; by run. */
  readonly #calls = new Map<string, Set<string>>()
  /** Those of runs that have ended. */
  readonly #waiting = new Map<string, Set<string>>()

  /** Events MUST be passed in order. */
  note({ type, data }: LogEvent): void {
    const { run = '', call = '', by, continues } = data as { run?: string; call?: string; by?: string; continues?: string }
    if (type === 'approval_request' || (type === 'tool_call' && by === 'client')) {
      const calls = this.#calls.get(run) ?? new Set()
      this.#calls.set(run, calls.add(call))
    } else if (type === 'tool_result') this.#calls.get(run)?.delete(call)
    else if (type === 'tool_decision') this.#decide(run, call, (data as { decision?: string }).decision)
    else if (type === 'stream_start' && continues !== undefined) this.#waiting.delete(continues)
    else if (type === 'stream_end') this.#end(run, data as unknown as SessionEvents['stream_end'])
  }

  /** Those whose calls are all decided, and that no run continues. */
  decided(): string[] {
    return [...this.#waiting].filter(([, calls]) => calls.size === 0).map(([run]) => run)
  }

  /** With the last of its calls withdrawn the run is stopped, and does not go on. */
  #decide(run: string, call: string, decision: string | undefined): void {
    const calls = this.#waiting.get(run)
    calls?.delete(call)
    if (calls?.size === 0 && decision === 'withdraw') this.#waiting.delete(run)
  }

  #end(run: string, { status, lanes = {} }: SessionEvents['stream_end']): void {
    const calls = this.#calls.get(run)
    this.#calls.delete(run)
    const isWaiting = status === 'waiting' || Object.values(lanes).some((lane) => lane.status === 'waiting')
    if (calls === undefined || calls.size === 0 || !isWaiting) return
    this.#waiting.set(run, calls)
    const [oldest = ''] = this.#waiting.keys()
    if (this.#waiting.size > runsMax) this.#waiting.delete(oldest)
  }
}
