/**
 * Groups as they are sent between the threads. An append and its answer are arrays there, which take half the time to copy:
 * there are thousands of them a second.
 */
import type { NewBatch } from './batch-text.ts'
import type { Answer, Request } from './requests.ts'

type AppendRequest = Extract<Request, { op: 'append' }>
type Optional<T> = T | undefined

type AppendMessage = readonly [
  log: string,
  now: number,
  count: number,
  size: number,
  content: NewBatch['content'],
  epoch: Optional<string>,
  unless: Optional<string>,
  key: Optional<string>,
  expect: Optional<number>,
  keep: Optional<number>,
]
export type RequestMessage = AppendMessage | Exclude<Request, AppendRequest>

type AppendedMessage = readonly [epoch: string, head: number, start: number, time: number, duplicate: boolean]
export type AnswerMessage = AppendedMessage | Answer | undefined

export function toMessage(request: Request): RequestMessage {
  if (request.op !== 'append') return request
  const { log, now, batch, epoch, unless, key, expect, keep } = request
  return [log, now, batch.count, batch.size, batch.content, epoch, unless, key, expect, keep]
}

export function fromMessage(message: RequestMessage): Request {
  if (!isArray(message)) return message
  const [log, now, count, size, content, epoch, unless, key, expect, keep] = message
  return { op: 'append', log, now, batch: { count, size, content }, epoch, unless, key, expect, keep }
}

export function toAnswerMessage(answer: Answer | undefined): AnswerMessage {
  const { epoch, head, start, time, duplicate } = answer ?? {}
  const isAppended = epoch !== undefined && head !== undefined && start !== undefined && time !== undefined
  return isAppended && duplicate !== undefined ? [epoch, head, start, time, duplicate] : answer
}

export function fromAnswerMessage(message: AnswerMessage): Answer | undefined {
  if (message === undefined || !isArray(message)) return message
  const [epoch, head, start, time, duplicate] = message
  return { epoch, head, start, time, duplicate }
}

/** `Array.isArray` does not narrow the type of a readonly array. */
function isArray(message: object): message is readonly unknown[] {
  return Array.isArray(message)
}
