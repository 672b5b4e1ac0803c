/**
 * Which uploads have not ended: each has an empty log whose name says whose and how old it is. A list of these names bounds the
 * uploads of a principal over all servers, and finds those that were left when a server died.
 */
import { hash } from 'node:crypto'
import type { Engine } from '../log/log.ts'
import { walkNames } from '../log/names.ts'

export interface Unfinished {
  readonly session: string
  readonly upload: string
  /** Who uploads it. */
  readonly by: string
  /** Milliseconds since 1970. */
  readonly beganAt: number
}

const prefix = 'unfinished/'
const prefixOf = (by: string) => `${prefix}${hash('sha256', by, 'base64url').slice(0, 22)}/`
/** Sorts by time. */
const nameOf = ({ session, upload, by, beganAt }: Unfinished) =>
  `${prefixOf(by)}${beganAt.toString(36).padStart(9, '0')}/${upload}/${session}`

export async function addUnfinished(engine: Engine, unfinished: Unfinished): Promise<void> {
  await engine.append(nameOf(unfinished), [])
}

export async function removeUnfinished(engine: Engine, unfinished: Unfinished): Promise<void> {
  await engine.delete(nameOf(unfinished))
}

/** Whether it is among the first `max` of its principal that are younger than `msMax`: of several at once, the same are. */
export async function isAmong(
  engine: Engine,
  unfinished: Unfinished,
  { max, msMax }: { max: number; msMax: number },
): Promise<boolean> {
  const names = await engine.list(prefixOf(unfinished.by))
  const oldest = unfinished.beganAt - msMax
  const young = names.filter((name) => (parse(name)?.beganAt ?? 0) > oldest)
  const index = young.indexOf(nameOf(unfinished))
  // Behind a full page there are too many as well.
  return index !== -1 && index < max
}

/** Those that began before a time, with what removes each from the list. */
export async function* listOlder(
  engine: Engine,
  before: number,
): AsyncGenerator<Pick<Unfinished, 'session' | 'upload'> & { remove(): Promise<unknown> }> {
  for await (const name of walkNames(engine, prefix)) {
    const found = parse(name)
    if (found === undefined || found.beganAt < before)
      yield { session: '', upload: '', ...found, remove: () => engine.delete(name) }
  }
}

function parse(name: string): Pick<Unfinished, 'session' | 'upload' | 'beganAt'> | undefined {
  const [, , time = '', upload = '', session] = name.split('/')
  return session === undefined ? undefined : { session, upload, beganAt: Number.parseInt(time, 36) }
}
