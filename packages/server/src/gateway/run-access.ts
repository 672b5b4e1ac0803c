/** Runs that a client names by their id alone: one in a session that is not the client's answers as one that does not exist. */
import { MillraceError, type MillraceErrorOptions } from '@millrace/protocol'
import type { Action } from '../access/actions.ts'
import { type Check, requireAction } from '../access/authorize.ts'
import type { Caller } from '../access/caller.ts'
import type { RecordedEnd, Run } from '../runs/run.ts'
import type { Runs } from '../runs/runs.ts'
import type { RecordedLaneEnd } from '../runs/stop.ts'
import type { Stops } from './stops.ts'

export interface RunAccess {
  readonly authorize: Check
  readonly runs: Pick<Runs, 'find'>
  readonly stops: Stops
}

/** Rejects with `run_not_found`, and as `Stops.stop` and `authorize` do. */
export async function stopFor(
  { authorize, stops }: RunAccess,
  caller: Caller,
  { run, lane, session }: NamedRun & { readonly lane?: string | undefined },
): Promise<RecordedEnd | RecordedLaneEnd> {
  // Before the run is looked for: the error must not say whether it exists.
  requireAction(caller.principal, 'run.stop')
  return stops.stop({ run, lane, session, by: caller.principal.id }, (named) =>
    hideRun(() => authorize(caller, 'run.stop', { session: named })),
  )
}

/** The session of a run that is to be resumed. Rejects with `run_not_found` without one, and as `authorize` does. */
export function authorizeResume(access: Pick<RunAccess, 'authorize' | 'runs'>, caller: Caller, run: NamedRun): Promise<string> {
  return authorizeRun(access, caller, run, 'run.start')
}

interface NamedRun {
  readonly run: string
  readonly session?: string | undefined
}

/** The same for any action on the session of a run. */
export async function authorizeRun(
  { authorize, runs }: Pick<RunAccess, 'authorize' | 'runs'>,
  caller: Caller,
  { run, session: named }: NamedRun,
  action: Action,
): Promise<string> {
  requireAction(caller.principal, action)
  const session = named ?? (await runs.find(run))?.session
  const unknown = { message: 'This server does not know the run; if it exists, send the session that it is in.' }
  if (session === undefined) throw new MillraceError('run_not_found', unknown)
  const authorizeIn = () => authorize(caller, action, { session })
  await (named === undefined ? hideRun(authorizeIn, unknown) : authorizeIn())
  return session
}

/** For a run that was started, or found by its id: that may be of a run in a session that the request did not name. */
export async function requireReadableRun(
  authorize: Check,
  caller: Caller,
  { session }: Run,
  named: string | undefined,
): Promise<void> {
  try {
    await authorize(caller, 'session.read', { session })
  } catch (error) {
    // As to everybody who uses an id that is taken, whatever he asks.
    throw isHidden(error) && session !== named ? new MillraceError('run_conflict') : error
  }
}

async function hideRun(act: () => void | Promise<void>, options?: MillraceErrorOptions): Promise<void> {
  try {
    await act()
  } catch (error) {
    throw isHidden(error) ? new MillraceError('run_not_found', options) : error
  }
}

function isHidden(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'session_not_found'
}
