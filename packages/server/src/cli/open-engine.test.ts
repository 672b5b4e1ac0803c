/** An engine address with a mistake is rejected with a sentence that names the mistake. */
import { expect, it } from 'vitest'
import { openEngine } from './open-engine.ts'

it.each([
  ['redis://127.0.0.1:1?prefx=shop', 'A Redis address takes ?prefix= and ?replicas=, not "prefx".'],
  ['redis://127.0.0.1:1?replicas=-1', 'replicas of a Redis address is a number from 0 to 64, not "-1".'],
  ['redis://127.0.0.1:1?replicas=99', 'not "99".'],
  ['redis://127.0.0.1:1?prefix=', 'prefix of a Redis address must not be empty.'],
])('rejects %s with a sentence', async (name, message) => {
  await expect(openEngine(name, { folder: '' })).rejects.toThrow(message)
})
