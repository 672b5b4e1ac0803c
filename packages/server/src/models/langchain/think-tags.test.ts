import { expect, it } from 'vitest'
import type { ModelPart } from '../model.ts'
import { readThinkTags } from './think-tags.ts'

async function read(...deltas: ModelPart[]): Promise<{ reasoning: string; text: string; parts: ModelPart[] }> {
  async function* stream() {
    yield* deltas
  }
  const parts: ModelPart[] = []
  for await (const part of readThinkTags(stream())) parts.push(part)
  const reasoning = parts.map((part) => (typeof part === 'object' && 'reasoning' in part ? part.reasoning : '')).join('')
  return { reasoning, text: parts.filter((part) => typeof part === 'string').join(''), parts }
}

const whole = '\n<think>\nIs 1 < 2? </thin… yes.\n</think>\n\nYes: <think> is a tag.</think>'

it('makes reasoning of what stands between the tags at the beginning, however it is cut', async () => {
  const expected = { reasoning: 'Is 1 < 2? </thin… yes.\n', text: 'Yes: <think> is a tag.</think>' }
  expect(await read(...whole.split(''))).toMatchObject(expected)
  for (let at = 0; at <= whole.length; at++) {
    expect(await read(whole.slice(0, at), whole.slice(at))).toMatchObject(expected)
  }
})

it('gives each delta at once where no tag can be in it', async () => {
  expect((await read('<think>', 'Hm', 'm. ', '</think>', 'a ', 'b')).parts).toEqual([
    { reasoning: 'Hm' },
    { reasoning: 'm. ' },
    'a ',
    'b',
  ])
  expect((await read(' a', ' <b', ' <think>')).parts).toEqual([' a', ' <b', ' <think>'])
})

it('keeps what it holds back when the answer ends there', async () => {
  expect(await read('<thi')).toMatchObject({ text: '<thi', reasoning: '' })
  expect(await read('  ')).toMatchObject({ text: '  ' })
  expect(await read('<think>a </th')).toMatchObject({ text: '', reasoning: 'a </th' })
})

it('lets other parts through in their place', async () => {
  expect((await read({ reasoning: 'x' }, 'a', { finishReason: 'stop' })).parts).toEqual([
    { reasoning: 'x' },
    'a',
    { finishReason: 'stop' },
  ])
})
