/**
 * The file millrace.marker counts the commits of the database, because a database cannot detect its own loss: SQLite
 * accepts a write-ahead log whose end is cut off or damaged, and an older copy of the file. A log that may have lost
 * acknowledged events MUST NOT keep its epoch.
 */
import { closeSync, constants, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { uptime } from 'node:os'

export interface CommitMarker {
  /** Records the number of commits, as the journal counts them. Not flushed: it survives the process, which is what it is for. */
  note(count: number): void
  /** MUST be called when the database is closed. */
  close(): void
}

/** What the last process has recorded. */
export interface MarkerRecord {
  readonly count: number
  /** When the file of the database was created: a copy is younger. */
  readonly createdAt: string
  /** The id of the machine's boot. */
  readonly boot: string
  /** Every group was flushed to the disk. */
  readonly isFlushed: boolean
  /** The engine was closed, and all groups were flushed. */
  readonly isClosed: boolean
}

/** The count has a fixed width, so that it can be overwritten in place. */
const digits = 16

/** Undefined when there is none, or it cannot be read. */
export function readMarker(file: string): MarkerRecord | undefined {
  try {
    const text = readFileSync(file, 'utf8')
    return { ...(JSON.parse(text.slice(digits)) as Omit<MarkerRecord, 'count'>), count: Number(text.slice(0, digits)) }
  } catch {
    // The database records whether it has had one.
    return undefined
  }
}

/** Why a database with `count` groups may miss acknowledged events; undefined when it misses none. */
export function detectLoss(seen: MarkerRecord | undefined, count: number, database: string): string | undefined {
  if (seen === undefined) return 'the file millrace.marker is missing or cannot be read'
  if (!(count >= seen.count)) return `it has ${count} of ${seen.count} commits`
  if (seen.createdAt !== createdAtOf(database)) return 'it is a copy'
  if (seen.isClosed || seen.isFlushed || isSameBoot(seen.boot, readBoot())) return undefined
  return 'the machine stopped before all commits were flushed to the disk'
}

export function openMarker(
  file: string,
  database: string,
  { count, isFlushed }: Pick<MarkerRecord, 'count' | 'isFlushed'>,
): CommitMarker {
  // Not truncated: a process killed in between would leave an empty file.
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
        // The commit stands. The next note corrects the count; a loss before it may go undetected.
      }
    },
    close() {
      try {
        // A write-ahead log that is not empty has not been flushed.
        if (sizeOf(`${database}-wal`) === 0) write(true)
      } catch {
        // The next start finds the marker as after a kill.
      }
      closeSync(handle)
    },
  }

  function write(isClosed: boolean): void {
    writeSync(handle, `${toText(last)}\n${JSON.stringify({ ...known, isClosed }).padEnd(160)}\n`, 0)
    fsyncSync(handle)
  }
}

/** 0 when there is no such file. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function toText(count: number): string {
  return String(count).padStart(digits)
}

function createdAtOf(file: string): string {
  return String(statSync(file, { bigint: true }).birthtimeNs)
}

/** The system's boot id where it has one, else the second of the boot. */
function readBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return String(Math.round(Date.now() / 1000 - uptime()))
  }
}

/** Setting the clock moves the second of the boot a little. */
function isSameBoot(one: string, other: string): boolean {
  return one === other || Math.abs(Number(one) - Number(other)) < 10
}
