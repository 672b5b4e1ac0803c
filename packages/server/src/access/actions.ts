/** Everything that a client can do, as a closed list, and the patterns in which permissions name it. */

/** What `authorize` is asked for. */
export const actions = [
  'session.list',
  'session.create',
  'session.read',
  'session.rename',
  /** What the models of a session get before the conversation: its instructions, those of a request, messages of the system. */
  'session.instruct',
  'session.delete',
  'session.share',
  'file.upload',
  'run.start',
  /** Answers of runs that come from outside; beside `run.start`. */
  'run.publish',
  'run.stop',
  /** About calls of tools that wait for approval. */
  'run.decide',
  /** Results of tools that clients execute. */
  'run.result',
  'channel.read',
  'channel.publish',
] as const

export type Action = (typeof actions)[number]

/** What an operator does. `admin.*` includes these and every action above. */
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
  /** With the actions above: on the sessions of every owner. */
  'admin.sessions',
] as const

export type AdminAction = (typeof adminActions)[number]

/** Beyond what a client does for itself: tickets for others, and subscriptions, which make the server send requests. */
const grantedActions = ['ticket.create', 'subscription.manage'] as const

const groups = [...new Set(actions.map((action) => `${action.split('.', 1)[0]}.*`))]
const patterns = new Set<string>([...actions, ...groups, ...grantedActions, ...adminActions, 'admin.*'])
const model = 'model.use:'
const role = 'role:'

/**
 * An action, a group such as `session.*`, `model.use:` with the name of a model or the beginning of names and `*`, or `role:`
 * with a name that rules can ask for.
 */
export function isActionPattern(text: string): boolean {
  return patterns.has(text) || /^model\.use:[^\p{Cc}\p{Zl}\p{Zp}*]{0,256}\*?$/u.test(text) || isRole(text)
}

export function isRole(text: string): boolean {
  return /^role:[\w.-]{1,64}$/.test(text)
}

/** Whether a pattern includes an action or another pattern. `admin.*` includes everything. */
export function includes(patterns: readonly string[], wanted: string): boolean {
  return patterns.includes('admin.*') || patterns.some((pattern) => matches(pattern, wanted))
}

/** Beyond what `anonymous` may do: only a list that names them includes these. */
export function isGranted(pattern: string): boolean {
  return (grantedActions as readonly string[]).includes(pattern) || pattern.startsWith('admin.') || pattern.startsWith(role)
}

/** The models that a list names; undefined where it names none, which bounds nothing. */
export function modelPatterns(may: readonly string[] = []): readonly string[] | undefined {
  const found = may.filter((pattern) => pattern.startsWith(model)).map((pattern) => pattern.slice(model.length))
  return found.length === 0 ? undefined : found
}

/** Exactly this text, or with `*` at its end every text, or pattern, that begins with the rest. */
export function matches(pattern: string, text: string): boolean {
  return pattern === text || (pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1)))
}
