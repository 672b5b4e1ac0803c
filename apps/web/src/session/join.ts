/**
 * A run and the runs that continue it are one answer, shown at the place of the first: PROTOCOL.md#continuing-an-answer.
 * The measures are those of the whole: what was counted and waited for in each run, together.
 */
import type { Usage } from '@millrace/protocol'
import type { End, LaneState, RunState } from './state.ts'

/** The id of the run to stop or to continue. */
export function lastRun({ run, continuedBy }: RunState): string {
  return continuedBy ?? run
}

/** Behind the others, or as more of the answer that it continues. */
export function addRun(runs: readonly RunState[], next: RunState): readonly RunState[] {
  const index = next.continues === undefined ? -1 : runs.findLastIndex((run) => lastRun(run) === next.continues)
  const before = runs[index]
  // Where what it continues is no longer kept, it is shown as it is: the rest of an answer.
  return before === undefined ? [...runs, next] : runs.with(index, joinRun(before, next))
}

function joinRun(before: RunState, next: RunState): RunState {
  const { end: _, ...rest } = before
  const lanes = before.lanes.map((lane) =>
    joinLane(
      lane,
      next.lanes.find((one) => one.lane === lane.lane),
    ),
  )
  return { ...rest, continuedBy: next.run, status: next.status, lanes, ...(next.end && { end: next.end }) }
}

function joinLane(before: LaneState, next: LaneState | undefined): LaneState {
  if (next === undefined) return before
  const { end, ...rest } = next
  return {
    ...rest,
    text: before.text + next.text,
    reasoning: before.reasoning + next.reasoning,
    data: [...before.data, ...next.data],
    files: [...before.files, ...next.files],
    ...(before.end && { before: before.end }),
    ...(end && { end: addEnd(before.end, end) }),
  }
}

/** The measures of an answer whose first part came from earlier runs. */
export function addEnd(before: End | undefined, end: End): End {
  if (before === undefined) return end
  return {
    ...end,
    usage: addUsage(before.usage, end.usage),
    timings: {
      firstTokenMs: before.timings.firstTokenMs ?? end.timings.firstTokenMs,
      durationMs: before.timings.durationMs + end.timings.durationMs,
    },
  }
}

function addUsage(a: Usage, b: Usage): Usage {
  const reasoningTokens = (a.reasoningTokens ?? 0) + (b.reasoningTokens ?? 0)
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    totalTokens: a.totalTokens + b.totalTokens,
    ...(reasoningTokens > 0 && { reasoningTokens }),
    ...((a.estimated || b.estimated) && { estimated: true }),
  }
}
