/** A log that could not be read is rejected at attach until it can be read. */
import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import { decorate } from './decorate.ts'
import { createQuarantine } from './quarantine.ts'

async function openDamaged() {
  const engine = memoryEngine()
  const { position } = await engine.append('this', [{ type: 'n', data: 1 }])
  const state = { isDamaged: true }
  const damageable = decorate(engine, {
    async read(...request) {
      if (state.isDamaged) throw new MillraceError('log_damaged', { cause: new Error('odd') })
      return engine.read(...request)
    },
  })
  return { quarantine: createQuarantine(damageable), state, start: { ...position, offset: 0 } }
}

const damaged = { code: 'log_damaged', message: expect.stringContaining('the log this is damaged'), cause: new Error('odd') }

it('rejects a log by name once a read has found it damaged, and no other log', async () => {
  const { quarantine, start } = await openDamaged()
  await quarantine.check('this')
  await expect(quarantine.read('this', start)).rejects.toMatchObject(damaged)
  await expect(quarantine.check('this')).rejects.toMatchObject(damaged)
  await expect(quarantine.check('this')).rejects.toMatchObject(damaged)
  await quarantine.check('other')
})

it('admits a log again when it can be read, or was replaced', async () => {
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
