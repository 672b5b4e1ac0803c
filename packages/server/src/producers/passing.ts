/**
 * Passes the lines of a connection to the server that has the run: behind a proxy, a producer that reconnects may reach another
 * one. A message is acknowledged before the next is sent, which then has all lines that arrived meanwhile.
 */
import { type ErrorCode, MillraceError } from '@millrace/protocol'
import { LRUCache } from 'lru-cache'
import type { Run } from '../runs/run.ts'
import type { Producer } from './produced-answer.ts'
import type { Producers } from './producers.ts'
import { type AnswerState, openSink, requireOpen, type Sink } from './sink.ts'

export interface PassedLines {
  readonly op: 'produce'
  readonly run: string
  /** Of the connection between producer and server. */
  readonly connection: string
  readonly producer: Producer
  readonly seq: number
  readonly lines: readonly string[]
  readonly isEnd?: true
}

export interface PassedState extends AnswerState {
  readonly error?: { readonly code: ErrorCode; readonly message: string }
}

/** Resolves with undefined where the other server does not respond in time. */
export type PassLines = (message: PassedLines) => Promise<PassedState | undefined>

/** Connections that other servers pass; one that is evicted is attached again with its next lines. */
const connectionsMax = 10_000
/** How often an idle connection asks whether another one has taken its place. */
const aliveMs = 5000
/** Characters of one message, unless a line is longer. */
const messageLengthMax = 65_536

/** Takes what other servers pass to this one. */
export function createReceiver(producers: Pick<Producers, 'find'>): (message: PassedLines) => Promise<PassedState> {
  const sinks = new LRUCache<string, Sink>({ max: connectionsMax })
  return async ({ run, connection, producer, seq, lines, isEnd }) => {
    let sink = sinks.get(connection)
    let answer: AnswerState = { next: 0, epoch: 0, isWhole: false }
    try {
      const produced = await producers.find(run)
      if (produced === undefined) throw new MillraceError('run_conflict')
      answer = produced.answer
      sink ??= openSink(produced.answer, producer)
      sinks.set(connection, sink)
      requireOpen(sink)
      await sink.take(seq, lines)
      return stateOf(answer)
    } catch (error) {
      const { code, message } = error instanceof MillraceError ? error : new MillraceError('internal', { cause: error })
      return { ...stateOf(answer), error: { code, message } }
    } finally {
      if (isEnd) {
        sink?.detach(true)
        sinks.delete(connection)
      }
    }
  }
}

function stateOf({ next, epoch, isWhole }: AnswerState): AnswerState {
  return { next, epoch, isWhole }
}

export interface RemoteSinkOptions {
  readonly run: Run
  readonly producer: Producer
  readonly connection: string
  readonly pass: PassLines
}

/** Attaches the connection. Has an `error` where that failed; it is `run_elsewhere` where the other server does not respond. */
export async function openRemoteSink({ run, producer, connection, pass }: RemoteSinkOptions): Promise<Sink> {
  const closing = Promise.withResolvers<MillraceError>()
  let answer: AnswerState = { next: 0, epoch: producer.epoch, isWhole: false }
  let error: MillraceError | undefined
  let passing: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => void send({ seq: 0, lines: [] }).catch(close), aliveMs).unref()
  run.ended.then(
    () => close(new MillraceError('run_ended')),
    () => {},
  )
  await send({ seq: 0, lines: [] }).catch(close)

  return {
    async take(seq, lines) {
      for (const batch of batches(lines)) {
        await send({ seq: seq + batch.at, lines: batch.lines })
        if (answer.isWhole) return
      }
    },
    detach() {
      clearInterval(timer)
      void send({ seq: 0, lines: [], isEnd: true }).catch(() => {})
    },
    // Only producers with an id are passed on, and these may reconnect.
    fail() {},
    closed: closing.promise,
    get error() {
      return error
    },
    get answer() {
      return answer
    },
  }

  function send(lines: Pick<PassedLines, 'seq' | 'lines' | 'isEnd'>): Promise<void> {
    const next = passing.then(async () => {
      if (error !== undefined) throw error
      const response = await pass({ op: 'produce', run: run.id, connection, producer, ...lines })
      if (response === undefined) throw new MillraceError('run_elsewhere')
      answer = response
      if (response.error !== undefined) throw new MillraceError(response.error.code, { message: response.error.message })
    })
    passing = next.catch(() => {})
    return next
  }

  function close(reason: MillraceError): void {
    clearInterval(timer)
    error ??= reason
    closing.resolve(error)
  }
}

function batches(lines: readonly string[]): { readonly at: number; readonly lines: string[] }[] {
  const all: { at: number; lines: string[] }[] = []
  let length = messageLengthMax
  for (const [at, line] of lines.entries()) {
    if (length + line.length > messageLengthMax) {
      all.push({ at, lines: [] })
      length = 0
    }
    all.at(-1)?.lines.push(line)
    length += line.length
  }
  return all
}
