/** Everything that a client can do, as a closed list, and the patterns in which permissions name it. */

/** What `authorize` is asked for. */
export const actions = [
  'session.list',
  'session.create',
  'session.read',
  'session.rename',
  'session.delete',
  'run.start',
  'run.stop',
  'channel.read',
  'channel.publish',
] as const

export type Action = (typeof actions)[number]

/** What an operator does, over `/api/admin/`. `admin.*` includes these and every action above. */
export const adminActions = [
  /** Lists of everything, without the text of conversations; usage, configuration and webhooks. */
  'admin.read',
  /** The events of any session and channel. */
  'admin.content',
  'admin.connections',
  'admin.runs',
  'admin.publish',
  /** API keys, tickets and revocations. Keys never allow more than their creator has. */
  'admin.keys',
  'admin.drain',
  // `GET /metrics`.
  'admin.metrics',
] as const

export type AdminAction = (typeof adminActions)[number]

/** Beyond what `anonymous` may do: only a list that names them includes these. */
const granted: readonly string[] = ['ticket.create', ...adminActions, 'admin.*']
const groups = [...new Set(actions.map((action) => `${action.split('.', 1)[0]}.*`))]
const patterns = new Set<string>([...actions, ...groups, ...granted])

/** An action, a group such as `session.*`, or `model.use:` with the name of a model or the beginning of names and `*`. */
export function isActionPattern(text: string): boolean {
  return patterns.has(text) || /^model\.use:[^\p{Cc}\p{Zl}\p{Zp}*]{0,256}\*?$/u.test(text)
}

/** Whether a pattern includes an action or another pattern. `admin.*` includes everything. */
export function includes(patterns: readonly string[], wanted: string): boolean {
  return patterns.includes('admin.*') || patterns.some((pattern) => matches(pattern, wanted))
}

/** Whether a pattern is beyond what `anonymous` may do. */
export function isGranted(pattern: string): boolean {
  return granted.includes(pattern)
}

/** Exactly this text, or with `*` at its end every text, or pattern, that begins with the rest. */
export function matches(pattern: string, text: string): boolean {
  return pattern === text || (pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1)))
}
