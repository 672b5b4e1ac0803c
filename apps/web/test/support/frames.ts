/**
 * What an answer costs the page while it arrives, from Chromium's own trace: the CPU time of its main thread, which another
 * process on the machine does not lengthen, by frame.
 */
import type { Page } from 'playwright-core'

export interface FrameCost {
  readonly frames: number
  /** Milliseconds of script in a frame, with what arrived since the one before. */
  readonly script: Quantiles
  /** The same of everything that the main thread did: also style, layout and paint. */
  readonly all: Quantiles
}

export interface Quantiles {
  readonly p50: number
  readonly p95: number
  readonly max: number
}

interface TraceEvent {
  readonly name: string
  readonly ph: string
  readonly pid: number
  readonly tid: number
  readonly ts: number
  readonly dur?: number
  readonly tdur?: number
  readonly args: { readonly name?: string }
}

const categories = ['devtools.timeline', 'disabled-by-default-devtools.timeline']
const scripts = ['FunctionCall', 'EvaluateScript', 'RunMicrotasks', 'FireAnimationFrame', 'TimerFire', 'EventDispatch']

export async function measureFrames(page: Page, act: () => Promise<void>): Promise<FrameCost> {
  const browser = page.context().browser()
  if (browser === null) throw new Error('The page has no browser.')
  await browser.startTracing(page, { categories })
  await act()
  const { traceEvents } = JSON.parse(String(await browser.stopTracing())) as { traceEvents: TraceEvent[] }
  return readCost(traceEvents)
}

function readCost(events: readonly TraceEvent[]): FrameCost {
  const mains = events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
  const threads = mains.map(({ pid, tid }) => events.filter((event) => event.pid === pid && event.tid === tid))
  // Of the page: other renderers have nothing to do.
  const [main = []] = threads.toSorted((one, other) => other.length - one.length)
  const frames = main.filter(({ name, ph }) => name === 'AnimationFrame' && ph === 'b').map(({ ts }) => ts)
  frames.sort((one, other) => one - other)
  const inFrames = (names: readonly string[]) => perFrame(outermost(main.filter((event) => names.includes(event.name))), frames)
  const [script, all] = [inFrames(scripts), inFrames(['RunTask'])]
  // Those in which something arrived.
  const busy = script.flatMap((cost, index) => (cost > 0 ? [index] : []))
  const pick = (costs: readonly number[]) => quantiles(busy.map((index) => costs[index] ?? 0))
  return { frames: busy.length, script: pick(script), all: pick(all) }
}

/** Without what is called by another of them. */
function outermost(events: readonly TraceEvent[]): TraceEvent[] {
  let end = 0
  return events
    .filter(({ ph }) => ph === 'X')
    .toSorted((one, other) => one.ts - other.ts)
    .filter(({ ts, dur = 0 }) => {
      const isOutside = ts >= end
      if (isOutside) end = ts + dur
      return isOutside
    })
}

/** The sums between the beginnings of frames, in milliseconds. */
function perFrame(events: readonly TraceEvent[], frames: readonly number[]): number[] {
  const costs = frames.map(() => 0)
  let frame = 0
  for (const { ts, dur = 0, tdur = dur } of events) {
    while (frame + 1 < frames.length && ts >= (frames[frame + 1] as number)) frame++
    if (ts >= (frames[0] ?? 0)) costs[frame] = (costs[frame] ?? 0) + tdur / 1000
  }
  return costs
}

function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((one, other) => one - other)
  const at = (part: number) => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 10) / 10
  return { p50: at(0.5), p95: at(0.95), max: at(1) }
}
