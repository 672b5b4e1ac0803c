/** A model that calls a tool before it answers. */
import type { Model, ModelPart } from 'millrace'

/** Calls a tool once for each of these arguments, then says what it got. */
export function payer(name = 'pay', ...all: readonly object[]): Model {
  const calls = all.length === 0 ? [{ to: 'bob', amount: 5 }] : all
  return {
    name: 'm',
    async *stream({ messages }): AsyncGenerator<ModelPart> {
      const last = messages.at(-1)
      if (last?.role === 'tool') yield last.text
      else
        for (const [index, given] of calls.entries()) yield { toolCall: { id: `c${index + 1}`, name, arguments: given as never } }
    },
  }
}
