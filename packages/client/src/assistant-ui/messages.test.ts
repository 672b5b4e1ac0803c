/** What assistant-ui is shown of a run: each state of an answer, of a tool, and of a question that was rejected. */
import type { CompleteAttachment } from '@assistant-ui/react'
import { describe, expect, it } from 'vitest'
import type { ChatLane, ChatRun } from '../chat/index.ts'
import { MillraceError } from '../errors.ts'
import { toQuestion, toRepository, toThreadMessages } from './messages.ts'

const lane: ChatLane = {
  lane: 'a',
  model: 'a',
  text: '',
  reasoning: '',
  data: [],
  files: [],
  parts: [],
  status: 'completed',
}
const show = (change: Partial<ChatLane>) => {
  const run: ChatRun = { run: 'r', query: 'why?', startedAt: 0, status: 'completed', lanes: [{ ...lane, ...change }] }
  return toThreadMessages({ runs: [run], pending: [] })[1]
}

describe('an answer', () => {
  it.each([
    [{ status: 'streaming' }, { type: 'running' }],
    [{ status: 'completed' }, { type: 'complete', reason: 'stop' }],
    [
      { status: 'completed', finishReason: 'length' },
      { type: 'incomplete', reason: 'length' },
    ],
    [{ status: 'stopped' }, { type: 'incomplete', reason: 'cancelled' }],
    [{ status: 'waiting' }, { type: 'requires-action', reason: 'tool-calls' }],
    [
      { status: 'failed', error: { code: 'model_failed', message: 'broke', retryable: true } },
      { type: 'incomplete', reason: 'error', error: 'broke' },
    ],
  ] as const)('%j is shown as %j', (change, status) => {
    expect(show(change)).toMatchObject({ id: 'answer-r', role: 'assistant', status })
  })

  it('has its tools, with arguments, approval and result', () => {
    const tool = { type: 'tool', call: 'x', name: 'pay' } as const
    const parts = [
      { ...tool, state: 'streaming', argumentsText: '{"su' },
      { ...tool, state: 'waiting', arguments: { sum: 1 }, approval: 'p' },
      { ...tool, state: 'done', arguments: { sum: 1 }, approval: 'p', decision: { decision: 'approve' }, value: 'paid' },
      { ...tool, state: 'failed', arguments: [1], value: 'no money' },
      { ...tool, state: 'rejected', arguments: {}, approval: 'p', decision: { decision: 'reject', reason: 'too much' } },
    ] as const
    expect(show({ parts })?.content).toMatchObject([
      { type: 'tool-call', toolCallId: 'x', toolName: 'pay', argsText: '{"su' },
      { args: { sum: 1 }, approval: { id: 'p' } },
      { result: 'paid', approval: { id: 'p', approved: true } },
      { argsText: '[1]', result: 'no money', isError: true },
      { approval: { id: 'p', approved: false, reason: 'too much' } },
    ])
  })
})

it('has the other questions at a place as branches of it', () => {
  const runs = ['first', 'second'].map((run): ChatRun => ({ run, query: run, startedAt: 0, status: 'completed', lanes: [lane] }))
  const siblings = new Map(['second', 'other'].map((run) => [run, ['other', 'second']]))
  const { headId, messages } = toRepository(toThreadMessages({ runs, pending: [] }), siblings)
  expect(headId).toBe('answer-second')
  expect(messages.map(({ message, parentId }) => [message.id, parentId])).toEqual([
    ['first', null],
    ['answer-first', 'first'],
    ['other', 'answer-first'],
    ['second', 'answer-first'],
    ['answer-second', 'second'],
  ])
})

describe('a question', () => {
  it('is shown while it waits, and with its error where it was rejected', () => {
    const error = new MillraceError('model_not_found')
    const pending = [
      { id: 'one', query: 'waits', status: 'sending' },
      { id: 'two', query: 'wrong', status: 'rejected', error },
    ] as const
    expect(toThreadMessages({ runs: [], pending })).toMatchObject([
      { id: 'one', role: 'user', content: 'waits' },
      { id: 'two', role: 'user', content: 'wrong' },
      { id: 'answer-two', role: 'assistant', status: { reason: 'error', error: 'model_not_found' } },
    ])
  })

  it('is text, of one part or of several', () => {
    const [one, two] = [
      { type: 'text', text: 'one' },
      { type: 'text', text: 'two' },
    ] as const
    expect(toQuestion({ content: [one], attachments: [] })).toBe('one')
    expect(toQuestion({ content: [one, two], attachments: [] })).toEqual([{ role: 'user', content: [one, two] }])
    expect(() => toQuestion({ content: [{ type: 'image', image: 'x' }], attachments: [] })).toThrow(TypeError)
  })

  it('has its files, which are asked again where it is edited', () => {
    const content = [
      { type: 'text', text: 'what is it?' },
      { type: 'file', file: 'k3f9a2xq-1', mediaType: 'image/png', name: 'a.png', size: 3 },
      { type: 'file', file: 'k3f9a2xq-2', mediaType: 'application/pdf' },
    ] as const
    const messages = [{ role: 'user', content }] as const
    const run: ChatRun = { run: 'r', query: 'what is it?', messages, startedAt: 0, status: 'completed', lanes: [] }
    const [question] = toThreadMessages({ runs: [run], pending: [] })
    expect(question).toMatchObject({
      content: 'what is it?',
      attachments: [
        { id: 'k3f9a2xq-1', type: 'image', name: 'a.png', contentType: 'image/png' },
        { id: 'k3f9a2xq-2', type: 'document', name: 'k3f9a2xq-2' },
      ],
    })
    const attachments = question?.attachments as CompleteAttachment[]
    expect(toQuestion({ content: [content[0]], attachments })).toEqual([
      {
        role: 'user',
        content: [content[0], { type: 'file', file: 'k3f9a2xq-1' }, { type: 'file', file: 'k3f9a2xq-2' }],
      },
    ])
    const linked = { ...attachments[0], content: [{ type: 'file', data: 'https://a.example/x', mimeType: 'text/plain' }] }
    expect(() => toQuestion({ content: [], attachments: [linked as CompleteAttachment] })).toThrow(TypeError)
  })
})
