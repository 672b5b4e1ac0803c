/** Which events are about one answer: of its run and the runs that continue it, and of its lane or of all lanes. */
import type { About, WireEvent } from './wire-log.ts'

export function eventsOf(events: readonly WireEvent[], session: string, run: string, lane: string): readonly WireEvent[] {
  const runs = new Set([run])
  let isOfFile = false
  return events.filter(({ source, type, data }) => {
    if (!('session' in source) || source.session !== session) return false
    // The bytes of a file follow the event that announces it.
    if (type === 'file_data') return isOfFile
    if (type === 'gap') return true
    const about = (data ?? {}) as About
    if (about.run === undefined) return false
    if (about.continues !== undefined && runs.has(about.continues)) runs.add(about.run)
    const isOwn = runs.has(about.run) && (about.lane === undefined || about.lane === lane)
    isOfFile = isOwn && type === 'file'
    return isOwn
  })
}
