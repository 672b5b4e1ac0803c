/** Ids of OpenAI's API. They name the session too, so that any server finds a run by them, also after a restart. */
import { idPattern } from '@millrace/protocol'

export interface RunName {
  readonly session: string
  readonly run: string
}

type Prefix = 'chatcmpl' | 'resp'

export function formatId(prefix: Prefix, { session, run }: RunName): string {
  return `${prefix}_${session}.${run}`
}

/** Undefined for what is no such id. */
export function parseId(prefix: Prefix, id: string): RunName | undefined {
  if (!id.startsWith(`${prefix}_`)) return undefined
  const [session = '', run = '', ...rest] = id.slice(prefix.length + 1).split('.')
  return idPattern.test(session) && idPattern.test(run) && rest.length === 0 ? { session, run } : undefined
}
