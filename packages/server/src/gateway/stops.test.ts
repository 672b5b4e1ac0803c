import { MillraceError } from '@millrace/protocol'
import { expect, it } from 'vitest'
import { memoryEngine } from '../engines/memory/index.ts'
import type { RecordedEnd, Run } from '../runs/run.ts'
import { createStops } from './stops.ts'

it('looks for a run once however many stop it at once, asks for each whether it may, and again later', async () => {
  const { promise: ended, resolve } = Promise.withResolvers<RecordedEnd>()
  let stopCalls = 0
  const run = { session: 's', ended, stop: () => void stopCalls++ } as unknown as Run
  let looks = 0
  const find = async (id: string) => {
    looks++
    return id === 'r' ? run : undefined
  }
  const stops = createStops({ runs: { find }, engine: memoryEngine(), decisions: { withdraw: async () => undefined } })
  let asked = 0
  const allow = () => void asked++
  const all = Array.from({ length: 2000 }, () => stops.stop({ run: 'r' }, allow))
  const refuse = () => {
    throw new MillraceError('forbidden')
  }
  await expect(stops.stop({ run: 'r' }, refuse)).rejects.toMatchObject({ code: 'forbidden' })
  resolve({ status: 'stopped' } as RecordedEnd)
  expect((await Promise.all(all)).every(({ status }) => status === 'stopped')).toBe(true)
  expect([looks, asked, stopCalls]).toEqual([1, 2000, 1])
  await stops.stop({ run: 'r' }, allow)
  expect([looks, stopCalls]).toEqual([2, 2])
  await expect(stops.stop({ run: 'unknown' }, allow)).rejects.toMatchObject({ code: 'run_not_found' })
})
