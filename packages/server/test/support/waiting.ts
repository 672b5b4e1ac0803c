/** Runs that wait for decisions about calls of their tools. */
import type { MillraceOptions, Model, ModelMessage, ModelPart } from 'millrace'
import { expect } from 'vitest'
import { z } from 'zod'
import { postJson, startServer } from './server.ts'

/** Calls its tools once, then says what it got. */
export function caller(...calls: { name: string; arguments: object }[]) {
  const asked: (readonly ModelMessage[])[] = []
  const model: Model = {
    name: 'm',
    async *stream({ messages }): AsyncGenerator<ModelPart> {
      asked.push(messages)
      const last = messages.at(-1)
      if (last?.role === 'tool') yield last.text
      else for (const [index, call] of calls.entries()) yield { toolCall: { id: `c${index + 1}`, ...call } as never }
    },
  }
  return { model, asked }
}

export function pay(needsApproval: unknown = true) {
  const paid: unknown[] = []
  const tool = {
    description: 'Pays.',
    input: z.object({ to: z.string(), amount: z.number().positive() }),
    needsApproval: needsApproval as boolean,
    execute(input: { to: string; amount: number }) {
      paid.push(input)
      return `paid ${input.amount} to ${input.to}`
    },
  }
  return { tool, paid }
}

export const toBob = { name: 'pay', arguments: { to: 'bob', amount: 5 } }

export async function waiting(options: MillraceOptions = {}, calls = [toBob], needsApproval: unknown = true) {
  const { model, asked } = caller(...calls)
  const { tool, paid } = pay(needsApproval)
  const server = await startServer({ models: [model], tools: { pay: tool }, ...options })
  const run = await server.millrace.ask({ query: 'x', models: ['m'] })
  const end = await run.ended
  const decide = (...decisions: object[]) => postJson(`${server.url}/api/runs/${run.id}/decisions`, { decisions })
  const read = async () => (await server.millrace.readSession(run.session))?.runs ?? []
  return { ...server, run, end, decide, read, paid, asked, model, tool }
}

export async function continued(
  response: Response,
  { millrace }: { millrace: Awaited<ReturnType<typeof startServer>>['millrace'] },
) {
  const body = (await response.json()) as { continuedBy: string; waiting: string[] }
  expect(body).toMatchObject({ waiting: [], continuedBy: expect.any(String) })
  return { id: body.continuedBy, end: await millrace.findRun(body.continuedBy)?.ended }
}

export async function refusal(response: Response) {
  const { error } = (await response.json()) as { error: { code: string } }
  return [response.status, error.code]
}
