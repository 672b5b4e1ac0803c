/** What a reader of a run costs in a long session. */
import { expect, it, vi } from 'vitest'
import { findReadable, findRunOfFrame } from './readable-run.ts'

const epoch = '0000aaaa'
const start = { epoch, offset: 100 }

function open(run: string) {
  const read = vi.fn(async () => ({ runs: [{ run: 'old' }] }))
  const context = {
    engine: { read: async () => ({ events: [{ offset: 102, data: { run } }] }) },
    runs: { find: async (id: string) => (id === 'known' ? { id, session: 's', start } : undefined) },
    openLog: async () => ({ start: { epoch, offset: 0 }, head: { epoch, offset: 200 } }),
    transcripts: { read },
  }
  return { context: context as never, read }
}

it('reads no transcript for a run that this server knows', async () => {
  const { context, read } = open('known')
  expect(await findReadable(context, { session: 's', run: 'known' })).toMatchObject({ id: 'known', start })
  expect(await findRunOfFrame(context, 's', `${epoch}-102`)).toMatchObject({ id: 'known', start })
  expect(read).not.toHaveBeenCalled()
})

it('finds another one in the transcript, and its beginning in all that is kept', async () => {
  const { context } = open('old')
  const found = { id: 'old', session: 's', start: { epoch, offset: 0 } }
  expect(await findRunOfFrame(context, 's', `${epoch}-102.3`)).toEqual(found)
  await expect(findReadable(context, { session: 's', run: 'none' })).rejects.toMatchObject({ code: 'run_not_found' })
  await expect(findReadable(context, { session: 'other', run: 'known' })).rejects.toMatchObject({ code: 'run_not_found' })
})

it.each([
  ['nonsense', 'position_invalid'],
  [`${epoch}-0`, 'position_invalid'],
  [`other:${epoch}-102`, 'position_foreign'],
  [`${epoch}-101`, 'position_expired'],
])('rejects the frame %s with %s', async (frame, code) => {
  await expect(findRunOfFrame(open('old').context, 's', frame)).rejects.toMatchObject({ code })
})
