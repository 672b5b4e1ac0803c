/** The heading in the history for a moment, by the reader's local days. */

export const days = ['today', 'yesterday', 'week', 'month', 'older'] as const
export type Day = (typeof days)[number]

/** Both in milliseconds since 1970. What is to come, by a clock that is wrong, is of today. */
export function dayOf(time: number, now: number): Day {
  const age = Math.round((startOfDay(now) - startOfDay(time)) / 86_400_000)
  if (age < 1) return 'today'
  if (age < 2) return 'yesterday'
  if (age < 8) return 'week'
  return age < 31 ? 'month' : 'older'
}

/** Not a multiple of 24 hours: a day in spring has 23 of them in many places. */
function startOfDay(time: number): number {
  return new Date(time).setHours(0, 0, 0, 0)
}
