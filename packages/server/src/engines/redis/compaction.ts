/** Packs the oldest batches of a log at rest, a pack at a time. */
import { packAside, packed, toStored } from '../shared/packing.ts'
import type { Calls } from './calls.ts'
import { decode, type Entry } from './entries.ts'
import * as scripts from './scripts.ts'

/** Returns true when there may be more to pack. */
export async function packOldest(calls: Calls, log: string): Promise<boolean> {
  const bounds = [packed.eventsMax, packed.eventsMin, packed.bytesMax].map(String)
  const [status, epoch, entries] = (await calls.call(scripts.unpacked, log, () => bounds)) as [string, string, Entry[]]
  if (status === 'moved') return true
  if (status !== 'done') return false
  const events = entries.flatMap(decode).map(({ data, ...event }) => ({ ...event, data: toStored(data) as string }))
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined || events.length < packed.eventsMin) return false
  const data = Buffer.from(await packAside(events)).toString('base64')
  const size = events.reduce((sum, each) => sum + each.data.length, 0)
  const args = [epoch, first[0], last[0], events.length, last[2], data, size].map(String)
  await calls.run(scripts.compact, log, () => args)
  return true
}
