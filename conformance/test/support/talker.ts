/** A model with each kind of part, for cuts between any two frames of its answer. */
import type { Model, ModelPart } from 'millrace'
import { z } from 'zod'

/** Thinks, says `one ` and this word, calls `place`, and then says where the user is. Fails when the question is `fail`. */
export function talker(word: string): Model {
  return {
    name: 'talker',
    async *stream({ messages }): AsyncGenerator<ModelPart> {
      const last = messages.at(-1)
      if (last?.text === 'fail') throw new Error('as asked')
      if (last?.role !== 'tool') {
        yield { reasoning: 'so' }
        yield 'one '
        await new Promise(setImmediate)
        yield word
        yield { toolCall: { id: 'c', name: 'place', arguments: {} } }
        return
      }
      for (const said of ['you ', 'are ', 'in ', last.text]) {
        await new Promise(setImmediate)
        yield said
      }
    },
  }
}

export const talkerTools = { place: { description: 'Says where the user is.', input: z.object({}), execute: () => 'Bern' } }
