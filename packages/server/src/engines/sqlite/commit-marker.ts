/**
 * What stands beside the database and says how far it had come, since a database alone cannot know what it has lost:
 * SQLite takes a write-ahead log whose end is cut off or damaged for a shorter one, and an older copy for the file
 * itself. A log that may have lost what was acknowledged MUST NOT go on under its epoch.
 */
import { closeSync, constants, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { uptime } from 'node:os'

export interface CommitMarker {
  /** How many groups were committed. Without a flush: it outlives the process, which is what the count is for. */
  note(count: number): void
  /** MUST be called when the database is closed. */
  close(): void
}

/** What the last one that wrote has left. */
export interface MarkerRecord {
  readonly count: number
  /** When the file of the database was made: a copy is younger. */
  readonly createdAt: string
  /** Of the machine, between two of its starts. */
  readonly boot: string
  /** Each group was flushed to the disk. */
  readonly isFlushed: boolean
  /** It came to its end, with all flushed. */
  readonly isClosed: boolean
}

/** Of the count, which is written over in its place. */
const digits = 16

/** Undefined where there is none, or none that can be read. */
export function readMarker(file: string): MarkerRecord | undefined {
  try {
    const text = readFileSync(file, 'utf8')
    return { ...(JSON.parse(text.slice(digits)) as Omit<MarkerRecord, 'count'>), count: Number(text.slice(0, digits)) }
  } catch {
    // A database that has had one is told from one that never had by the database itself.
    return undefined
  }
}

/** Why what was acknowledged may be missing from a database with so many groups in it; undefined where nothing is. */
export function doubtOf(seen: MarkerRecord | undefined, count: number, database: string): string | undefined {
  if (seen === undefined) return 'the file millrace.marker is gone, or cannot be read'
  if (!(count >= seen.count)) return `of ${seen.count} groups of events it has ${count}`
  if (seen.createdAt !== createdAtOf(database)) return 'it is a copy'
  if (seen.isClosed || seen.isFlushed || isSameBoot(seen.boot, readBoot())) return undefined
  return 'the machine ended before all was flushed to the disk'
}

export function openMarker(
  file: string,
  database: string,
  { count, isFlushed }: Pick<MarkerRecord, 'count' | 'isFlushed'>,
): CommitMarker {
  // Never empty in between: whoever is killed there would leave none.
  const handle = openSync(file, constants.O_RDWR | constants.O_CREAT)
  const buffer = Buffer.alloc(digits)
  const known = { createdAt: createdAtOf(database), boot: readBoot(), isFlushed }
  let last = count
  try {
    write(false)
  } catch (error) {
    closeSync(handle)
    throw error
  }

  return {
    note(now) {
      last = now
      buffer.write(toText(now), 'latin1')
      try {
        writeSync(handle, buffer, 0, digits, 0)
      } catch {
        // What is committed is there; the next one says it too, and until then a loss might not be noticed.
      }
    },
    close() {
      try {
        // With something left in its write-ahead log the database has not flushed all.
        if (sizeOf(`${database}-wal`) === 0) write(true)
      } catch {
        // As after a kill.
      }
      closeSync(handle)
    },
  }

  function write(isClosed: boolean): void {
    writeSync(handle, `${toText(last)}\n${JSON.stringify({ ...known, isClosed }).padEnd(160)}\n`, 0)
    fsyncSync(handle)
  }
}

/** 0 where there is no such file. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function toText(count: number): string {
  return String(count).padStart(digits)
}

function createdAtOf(file: string): string {
  return String(statSync(file, { bigint: true }).birthtimeNs)
}

/** An id where the system has one, else the second in which the machine was started. */
function readBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return String(Math.round(Date.now() / 1000 - uptime()))
  }
}

/** A clock that is set moves the start of the machine by a little. */
function isSameBoot(one: string, other: string): boolean {
  return one === other || Math.abs(Number(one) - Number(other)) < 10
}
