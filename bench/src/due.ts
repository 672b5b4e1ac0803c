/**
 * When an event was due, as text in the event itself: 16 digits, microseconds on the monotonic clock that all processes of
 * a machine share. The latency of an event counts from then, so that a late publisher or a stalled server makes it larger
 * instead of hiding it.
 */
export const stampLength = 16

export const nowMicros = (): number => Number(process.hrtime.bigint() / 1000n)

export const stamp = (micros: number): string => String(Math.round(micros)).padStart(stampLength, '0')

/** Emits a stamp for each event that is due, so that the average rate is exact however late a timer fires. */
export function pace(perSecond: number, emit: (due: string) => void): () => void {
  const start = nowMicros()
  let sent = 0
  const timer = setInterval(() => {
    const due = Math.floor(((nowMicros() - start) / 1e6) * perSecond)
    while (sent < due) emit(stamp(start + (++sent * 1e6) / perSecond))
  }, 1)
  return () => clearInterval(timer)
}

/** One timer for all streams, as in `sim:`: with one each, the timers would be most of the work. */
const tickMicros = 4000
const ticks = new Map<number, (() => void)[]>()
let doneTick = 0
let timer: NodeJS.Timeout | undefined

/** Calls `wake` in the first tick at or after `due`. */
export function at(due: number, wake: () => void): void {
  if (timer === undefined) {
    doneTick = Math.floor(nowMicros() / tickMicros)
    timer = setInterval(runTicks, tickMicros / 1000)
  }
  const tick = Math.max(doneTick + 1, Math.ceil(due / tickMicros))
  const wakes = ticks.get(tick)
  if (wakes === undefined) ticks.set(tick, [wake])
  else wakes.push(wake)
}

function runTicks(): void {
  for (const last = Math.floor(nowMicros() / tickMicros); doneTick < last; ) {
    const wakes = ticks.get(++doneTick) ?? []
    ticks.delete(doneTick)
    for (const wake of wakes) wake()
  }
  if (ticks.size > 0) return
  clearInterval(timer)
  timer = undefined
}
