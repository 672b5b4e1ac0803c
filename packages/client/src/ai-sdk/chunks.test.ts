/** Chunks as the AI SDK itself reads them: the message that it makes of a run is the one that a transcript gives. */
import { askedOf, type SessionEvent } from '@millrace/protocol'
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from 'ai'
import { describe, expect, it } from 'vitest'
import { type ChatTranscript, foldTranscript } from '../chat/index.ts'
import { createChunkWriter } from './chunks.ts'
import { toUIMessages } from './messages.ts'

const usage = { inputTokens: 1, outputTokens: 2, totalTokens: 3 }
const end = { usage, timings: { firstTokenMs: 1, durationMs: 2 } }
const lane = { run: 'r', lane: 'a' }
const start: SessionEvent = {
  type: 'stream_start',
  data: {
    run: 'r',
    session: 's',
    query: 'why?',
    lanes: [
      { lane: 'a', model: 'sim:a' },
      { lane: 'b', model: 'sim:b' },
    ],
    ...askedOf({}),
  },
}

async function read(events: readonly SessionEvent[]): Promise<UIMessage> {
  const writer = createChunkWriter()
  const stream = new ReadableStream<UIMessageChunk>({
    start(controller) {
      for (const chunk of events.flatMap((event) => writer.write(event))) controller.enqueue(chunk)
      controller.close()
    },
  })
  let last: UIMessage | undefined
  for await (const message of readUIMessageStream({ stream })) last = message
  if (last === undefined) throw new Error('There is no message.')
  return last
}

function fold(events: readonly SessionEvent[]): ChatTranscript {
  const empty: ChatTranscript = { id: 's', position: 'k3f9a2xq-0', complete: true, runs: [] }
  return events.reduce((all, event, index) => foldTranscript(all, { ...event, id: `k3f9a2xq-${index + 1}` }, 0), empty)
}

/** Where steps begin is said in another way; what the AI SDK keeps of a stream and not of a message is left out. */
const essence = ({ id, role, parts }: UIMessage) => ({
  id,
  role,
  parts: parts.flatMap((part): object[] => {
    if (part.type === 'step-start') return []
    return [
      JSON.parse(
        JSON.stringify({
          ...part,
          ...(part.type === 'reasoning' && { id: undefined }),
          rawInput: undefined,
          dynamic: undefined,
          resultProviderMetadata: undefined,
        }),
      ),
    ]
  }),
})

const answers: Record<string, SessionEvent[]> = {
  'text, with what another lane says in between': [
    { type: 'message', data: { ...lane, text: 'be' } },
    { type: 'message', data: { run: 'r', lane: 'b', text: 'not me' } },
    { type: 'message', data: { ...lane, text: 'cause' } },
  ],
  'reasoning, text, data and a source': [
    { type: 'reasoning', data: { ...lane, reasoning: 'so ' } },
    { type: 'message', data: { ...lane, part: 1, text: 'then' } },
    { type: 'data', data: { ...lane, name: 'chart', value: { points: [1, 2] } } },
    { type: 'source', data: { ...lane, source: '1', url: 'https://example.org/', title: 'Example' } },
    { type: 'message', data: { ...lane, part: 2, text: ' done' } },
  ],
  'a file with its bytes': [
    { type: 'file', data: { ...lane, mediaType: 'image/png', size: 3 } },
    { type: 'file_data', data: Uint8Array.of(1, 2, 3) },
  ],
  'tools: one that is streamed and answers, one that fails, one that is rejected': [
    { type: 'tool_call_start', data: { ...lane, call: 'x', name: 'weather' } },
    { type: 'tool_call_delta', data: { ...lane, call: 'x', arguments: '{"city":' } },
    { type: 'tool_call_delta', data: { ...lane, call: 'x', arguments: '"Bern"}' } },
    { type: 'tool_call', data: { ...lane, call: 'x', name: 'weather', arguments: { city: 'Bern' }, by: 'server' } },
    { type: 'tool_call', data: { ...lane, call: 'y', name: 'map', arguments: {}, by: 'server' } },
    { type: 'tool_result', data: { ...lane, call: 'x', value: { celsius: 7 } } },
    { type: 'tool_result', data: { ...lane, call: 'y', value: 'no map', isError: true } },
    { type: 'step_end', data: { ...lane, step: 0, usage } },
    { type: 'message', data: { ...lane, part: 2, text: 'It is 7 °C.' } },
  ],
  'a tool that waits for approval': [
    { type: 'tool_call', data: { ...lane, call: 'x', name: 'pay', arguments: { sum: 1 }, by: 'server' } },
    { type: 'approval_request', data: { ...lane, call: 'x', approval: 'p', expiresAt: 9 } },
  ],
}

describe('a message of the AI SDK', () => {
  it.each(Object.entries(answers))('is the same from a stream and from a transcript: %s', async (_, events) => {
    const all = [start, ...events, { type: 'stream_end', data: { run: 'r', status: 'completed', ...end } } as SessionEvent]
    const [question, answer] = toUIMessages(fold(all).runs)
    expect(question).toEqual({ id: 'r', role: 'user', parts: [{ type: 'text', text: 'why?' }] })
    expect(essence(await read(all))).toEqual(essence(answer as UIMessage))
    expect(answer?.metadata).toEqual({ run: 'r', model: 'sim:a' })
  })
})
