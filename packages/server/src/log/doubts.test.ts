/** A log that somebody could not read is refused at the door for as long as that is so. */
import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { memoryEngine } from '../engines/memory.ts'
import { createDoubts } from './doubts.ts'

async function openDamaged() {
  const engine = memoryEngine()
  const { position } = await engine.append('this', [{ type: 'n', data: 1 }])
  const state = { isDamaged: true }
  const doubts = createDoubts({
    ...engine,
    async read(...request) {
      if (state.isDamaged) throw new MillraceError('log_damaged', { cause: new Error('odd') })
      return engine.read(...request)
    },
  })
  return { doubts, state, start: { ...position, offset: 0 } }
}

const damaged = { code: 'log_damaged', message: expect.stringContaining('the log this is damaged'), cause: new Error('odd') }

it('lets in who asks for a log before anybody could not read it, and then no more, by name', async () => {
  const { doubts, start } = await openDamaged()
  await doubts.check('this')
  await expect(doubts.read('this', start)).rejects.toMatchObject(damaged)
  await expect(doubts.check('this')).rejects.toMatchObject(damaged)
  await expect(doubts.check('this')).rejects.toMatchObject(damaged)
  await doubts.check('other')
})

it('lets in again who asks for it when it can be read, or is another one', async () => {
  const { doubts, state, start } = await openDamaged()
  await expect(doubts.read('this', start)).rejects.toMatchObject(damaged)
  state.isDamaged = false
  await doubts.check('this')
  state.isDamaged = true
  await doubts.check('this')
  await expect(doubts.read('this', start)).rejects.toMatchObject(damaged)
  doubts.forget('this')
  await doubts.check('this')
})
