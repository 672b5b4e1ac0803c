/** A log that somebody could not read is refused at the door for as long as that is so. */
import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import { createQuarantine } from './quarantine.ts'

async function openDamaged() {
  const engine = memoryEngine()
  const { position } = await engine.append('this', [{ type: 'n', data: 1 }])
  const state = { isDamaged: true }
  const quarantine = createQuarantine({
    ...engine,
    async read(...request) {
      if (state.isDamaged) throw new MillraceError('log_damaged', { cause: new Error('odd') })
      return engine.read(...request)
    },
  })
  return { quarantine, state, start: { ...position, offset: 0 } }
}

const damaged = { code: 'log_damaged', message: expect.stringContaining('the log this is damaged'), cause: new Error('odd') }

it('lets in who asks for a log before anybody could not read it, and then no more, by name', async () => {
  const { quarantine, start } = await openDamaged()
  await quarantine.check('this')
  await expect(quarantine.read('this', start)).rejects.toMatchObject(damaged)
  await expect(quarantine.check('this')).rejects.toMatchObject(damaged)
  await expect(quarantine.check('this')).rejects.toMatchObject(damaged)
  await quarantine.check('other')
})

it('lets in again who asks for it when it can be read, or is another one', async () => {
  const { quarantine, state, start } = await openDamaged()
  await expect(quarantine.read('this', start)).rejects.toMatchObject(damaged)
  state.isDamaged = false
  await quarantine.check('this')
  state.isDamaged = true
  await quarantine.check('this')
  await expect(quarantine.read('this', start)).rejects.toMatchObject(damaged)
  quarantine.forget('this')
  await quarantine.check('this')
})
