/** The end of a run, from the ends of its lanes: PROTOCOL.md#events. */
import { addCosts, type LaneEnd, type RunEnd, type Usage } from '@millrace/protocol'

/** `isStopped`: a lane that was stopped without the others, whose end is not that of the run. */
export function runEnd(ends: ReadonlyMap<string, LaneEnd>, isStopped: (lane: string) => boolean = () => false): RunEnd {
  const all = [...ends.values()]
  const [only] = all
  if (all.length === 1 && only !== undefined) {
    const { model: _model, ...end } = only
    return end
  }
  const firstTokens = all.map(({ timings }) => timings.firstTokenMs).filter((time) => time !== null)
  const others = [...ends].filter(([lane]) => !isStopped(lane)).map(([, end]) => end)
  const deciding = others.length === 0 ? all : others
  const status =
    (['stopped', 'interrupted', 'waiting', 'completed'] as const).find((each) => deciding.some((end) => end.status === each)) ??
    'failed'
  const cost = all.map((end) => end.cost).reduce(addCosts)
  const error = status === 'failed' ? all.find((end) => end.error)?.error : undefined
  return {
    status,
    usage: all.map(({ usage }) => usage).reduce(sumUsage),
    timings: {
      firstTokenMs: firstTokens.length === 0 ? null : Math.min(...firstTokens),
      durationMs: Math.max(...all.map(({ timings }) => timings.durationMs)),
    },
    ...(cost && { cost }),
    ...(error && { error }),
    lanes: Object.fromEntries(ends),
  }
}

export function sumUsage(a: Usage, b: Usage): Usage {
  const reasoning = (a.reasoningTokens ?? 0) + (b.reasoningTokens ?? 0)
  const cached = (a.cachedInputTokens ?? 0) + (b.cachedInputTokens ?? 0)
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    totalTokens: a.totalTokens + b.totalTokens,
    ...(reasoning > 0 && { reasoningTokens: reasoning }),
    ...(cached > 0 && { cachedInputTokens: cached }),
    ...((a.estimated || b.estimated) && { estimated: true }),
  }
}
