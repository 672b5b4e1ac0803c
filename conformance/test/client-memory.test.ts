/** What a page that is open for long holds: conversations that nobody looks at any more are gone, with their files. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Client, Session } from '@millrace/client'
import { chatOf } from '@millrace/client/chat'
import { expect, it } from 'vitest'
import { startWorld } from '../src/client/world.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** In a function of its own, whose variables are gone when it has ended. `expect` would hold what it was given. */
async function look(client: Client, id: string): Promise<readonly WeakRef<object>[]> {
  const session = client.session(id)
  const store = chatOf(session)
  const live = Promise.withResolvers<void>()
  const leave = store.subscribe(() => store.current.status === 'live' && live.resolve())
  await live.promise
  if (client.session(id) !== session) throw new Error('What is held is not the same.')
  leave()
  return [new WeakRef(session), new WeakRef(store), new WeakRef(store.current)]
}

it.each(['sse', 'ws'] as const)('releases closed conversations, and keeps the ones in use, over %s', async (transport) => {
  const { connect, millrace } = await startWorld()
  const client = connect(transport)
  const ids = ['a', 'b', 'c']
  for (const id of [...ids, 'read']) await millrace.engine.append(id, [])
  await millrace.engine.append('a', [{ type: 'message', data: { run: 'r', lane: 'l', text: '1' } }])
  const read = client.session('read')
  void read.events().next()
  let heldRead: Session | undefined = read
  const left = (await Promise.all(ids.map((id) => look(client, id)))).flat()
  await expect
    .poll(() => {
      collect()
      return left.filter((ref) => ref.deref() !== undefined).length
    })
    .toBe(0)
  const { position } = client.session('a')
  expect(position).toBe((await millrace.readSession('a'))?.position)
  heldRead = undefined
  collect()
  expect([heldRead, client.session('read').isBeingRead]).toEqual([undefined, true])
})
