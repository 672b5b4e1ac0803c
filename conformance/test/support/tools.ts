/** A server whose model calls the tool that a question names: `pay` waits for approval, `place` is executed by the application. */
import { createMillrace, type Model, type ModelPart } from 'millrace'
import { onTestFinished } from 'vitest'
import { z } from 'zod'

/** Resolves with its address. `idOf`: the id of the call, by the name of the tool. */
export async function serveTools(idOf = (_tool: string) => 'c1'): Promise<string> {
  const model: Model = {
    name: 'caller',
    async *stream({ messages }): AsyncGenerator<ModelPart> {
      const { role = '', text = '' } = messages.at(-1) ?? {}
      if (role === 'tool') yield `got ${text}`
      else yield { toolCall: { id: idOf(text), name: text, arguments: { sum: 5 } } }
    },
  }
  const input = z.object({ sum: z.number() })
  const tools = {
    pay: { description: 'Pays.', input, needsApproval: true, execute: ({ sum }: { sum: number }) => `paid ${sum}` },
    place: { description: 'Says where the user is.', input },
  }
  const millrace = createMillrace({ models: [model], model: 'caller', tools })
  onTestFinished(() => millrace.close())
  return (await millrace.listen({ port: 0 })).url
}
