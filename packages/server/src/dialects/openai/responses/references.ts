/** Items that a client sends as references: they are read from the records of their runs. */
import { limits, MillraceError } from '@millrace/protocol'
import type { Caller } from '../../../access/caller.ts'
import type { FaceContext } from '../../../gateway/face.ts'
import { readRecord } from '../../shared/run-records.ts'
import { type RunName, runOfItem } from '../ids.ts'
import { outputOf } from './body.ts'
import { type Input, type Item, item } from './input.ts'
import { inputItemsOf } from './input-items.ts'

/**
 * The input with its references replaced by what they name. Rejects with `run_not_found`, the same for what does not exist and
 * what the caller may not read, and with `messages_too_large`.
 */
export async function resolveReferences(
  context: Pick<FaceContext, 'authorize' | 'transcripts'>,
  caller: Caller,
  input: Input,
): Promise<string | readonly Item[]> {
  if (typeof input === 'string') return input
  const known = new Map<string, Item>()
  const read = new Set<string>()
  const resolved: Item[] = []
  for (const [index, given] of input.entries()) {
    if (given.type === 'item_reference') resolved.push(await find(given.id, `input.${index}`))
    else resolved.push(given)
  }
  return resolved

  async function find(id: string, field: string): Promise<Item> {
    const name = runOfItem(id)
    if (name !== undefined) await readOnce(name).catch((error: unknown) => throwAs(error, field))
    return known.get(id) ?? notFound(field)
  }

  async function readOnce(name: RunName): Promise<void> {
    const key = `${name.session}.${name.run}`
    if (read.has(key)) return
    read.add(key)
    if (read.size > limits.messagesMax) throw new MillraceError('messages_too_large')
    await context.authorize(caller, 'session.read', { session: name.session })
    const record = await readRecord(context, name)
    for (const shown of [...inputItemsOf(name, record), ...outputOf(name.session, record)]) known.set(shown.id, item.parse(shown))
  }
}

function throwAs(error: unknown, field: string): never {
  const isMissing = error instanceof MillraceError && ['session_not_found', 'run_not_found'].includes(error.code)
  throw isMissing ? notFound(field, error) : error
}

function notFound(field: string, cause?: unknown): never {
  const message = `\`${field}\` refers to no item that is kept; send the item itself.`
  throw new MillraceError('run_not_found', { message, cause })
}
