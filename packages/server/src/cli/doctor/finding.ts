/** What `millrace doctor` can find. The ids are stable: programs read them from `--json`. */

/** A note is worth knowing; a problem breaks something, and the exit code is 1. */
export type Level = 'ok' | 'note' | 'problem'

export interface Finding {
  /** What was examined, or what is wrong: see fixes.ts. */
  readonly id: string
  readonly level: Level
  /** One sentence. */
  readonly text: string
}

export const ok = (id: string, text: string): Finding => ({ id, level: 'ok', text })
export const note = (id: FixId, text: string): Finding => ({ id, level: 'note', text })
export const problem = (id: FixId, text: string): Finding => ({ id, level: 'problem', text })

/** Everything with a fix. */
export type FixId =
  | 'unreachable'
  | 'not_millrace'
  | 'host_not_allowed'
  | 'certificate'
  | 'tls_missing'
  | 'http1'
  | 'buffering'
  | 'compression'
  | 'idle_timeout'
  | 'websocket_blocked'
  | 'last_event_id_stripped'
  | 'authorization_stripped'
  | 'address_hidden'
  | 'scheme_hidden'
  | 'clock_skew'
  | 'origin_rejected'
  | 'origin_open'
  | 'open_to_everybody'
  | 'metrics_public'
  | 'token_rejected'
  | 'token_expired'
  | 'token_lifetime'
  | 'token_too_broad'
