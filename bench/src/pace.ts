/** Calls back with the number of due events, so that the average rate is exact however late a timer fires. */
export function pace(perSecond: number, emit: (count: number) => void): () => void {
  const start = performance.now()
  let sent = 0
  const timer = setInterval(
    () => {
      const due = Math.floor(((performance.now() - start) / 1000) * perSecond) - sent
      if (due <= 0) return
      sent += due
      emit(due)
    },
    Math.max(1, Math.floor(1000 / perSecond)),
  )
  return () => clearInterval(timer)
}
