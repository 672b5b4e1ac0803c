/** What the model of a run was given, as `sim:echo?show=request` says it; and how a request was rejected. */
import type { Millrace } from 'millrace'
import { expect } from 'vitest'

export const echo = { model: 'sim:echo?tps=0&show=request' }

export async function given(
  millrace: Millrace,
  run: string,
): Promise<{ messages: { role: string; text: string }[]; params: object }> {
  await millrace.findRun(run)?.ended
  const session = millrace.findRun(run)?.session as string
  const record = (await millrace.readSession(session))?.runs.find((one) => one.run === run)
  expect(record).toMatchObject({ status: 'completed' })
  return JSON.parse(record?.lanes[0]?.text as string)
}

export async function rejection(answer: Promise<Response>): Promise<unknown> {
  const response = await answer
  const { error } = (await response.json()) as { error: { code: string } }
  return [response.status, error.code]
}
