/** A server, a network that can fail, and clients: the fixture of every case of the client suite. */
import {
  type Client,
  type ConnectionStatus,
  type ConnectOptions,
  connect,
  type Session,
  type SessionLogEvent,
  type TransportName,
} from '@millrace/client'
import { createMillrace, type Engine, type Millrace, type MillraceOptions, type Model } from 'millrace'
import { onTestFinished } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts'

export interface ClientSuite {
  readonly transport: TransportName
  /** What it is exchanged for. */
  readonly others: readonly TransportName[]
}

export interface World {
  readonly proxy: FaultProxy
  readonly millrace: Millrace
  /** A model that counts from 1 to the number that a question asks for, up to where the test allows. */
  readonly counter: Counter
  connect(transport: TransportName | 'auto', options?: ConnectOptions): Client
  /** Another server takes the first one's place, over the logs that outlive it, if there are any. */
  restart(): Promise<Millrace>
}

export interface WorldOptions {
  /** Called for each server, once the one before it has closed; default a memory engine, which knows nothing of the logs before. */
  readonly openEngine?: () => Engine
  /** Beside the counter. */
  readonly models?: readonly Model[]
  /** Default 60. */
  readonly heartbeatMs?: number
  readonly dialects?: MillraceOptions['dialects']
}

export interface Counter {
  /** Lets every run say its numbers up to this one. */
  letTo(number: number): void
}

/** Short, but a heartbeat is shorter still; a poll is silent for up to a second, which is its shortest wait. */
export function quickTimings(transport: TransportName | 'auto'): NonNullable<ConnectOptions['timings']> {
  const patience = transport === 'poll' || transport === 'auto' ? 1500 : 300
  return {
    firstBytesMs: patience,
    silenceMs: patience,
    backoffFirstMs: 5,
    backoffLongestMs: 30,
    answerMs: 1000,
    pollWaitSeconds: 1,
  }
}

/** Nothing is given up while a test lasts. */
export const patientTimings: NonNullable<ConnectOptions['timings']> = {
  firstBytesMs: 60_000,
  slowMs: 60_000,
  silenceMs: 60_000,
  answerMs: 60_000,
  backoffFirstMs: 5,
  backoffLongestMs: 30,
}

export async function startWorld({
  openEngine,
  models = [],
  heartbeatMs = 60,
  dialects = [],
}: WorldOptions = {}): Promise<World> {
  const counter = createCounter()
  const open = async () => {
    const engine = openEngine && { engine: openEngine() }
    const asked = { models: [counter.model, ...models], model: 'counting', heartbeatMs, dialects }
    const millrace = createMillrace({ ...engine, ...asked })
    onTestFinished(() => millrace.close())
    return { millrace, ...(await millrace.listen({ port: 0 })) }
  }
  const { millrace, port } = await open()
  let last = millrace
  const proxy = await startFaultProxy(port)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  return {
    proxy,
    millrace,
    counter,
    connect(transport, options = {}) {
      const client = connect(proxy.url, { transport, timings: quickTimings(transport), ...options })
      onTestFinished(() => client.close())
      return client
    },
    async restart() {
      if (openEngine) await last.close()
      const next = await open()
      last = next.millrace
      proxy.redirect(next.port)
      proxy.cut()
      return last
    },
  }
}

function createCounter() {
  let last = 0
  let wake: (() => void)[] = []
  return {
    letTo(number: number) {
      last = number
      for (const call of wake.splice(0)) call()
    },
    model: {
      name: 'counting',
      async *stream({ messages, signal }: { messages: readonly { text: string }[]; signal: AbortSignal }) {
        signal.addEventListener('abort', () => {
          for (const call of wake.splice(0)) call()
        })
        const { end, said } = readQuestion(messages)
        for (let number = said + 1; number <= end && !signal.aborted; number++) {
          while (number > last && !signal.aborted) {
            await new Promise<void>((resolve) => {
              wake = [...wake, resolve]
            })
          }
          if (signal.aborted) return
          yield `${number} `
          // The others have their turn, so that a stream carries the numbers one by one and not at once.
          await new Promise(setImmediate)
        }
      },
    },
  }
}

/** A question is a number. To go on with an answer it is given the question, the numbers, and a request in words. */
function readQuestion(messages: readonly { text: string }[]): { readonly end: number; readonly said: number } {
  const [asked, said] = messages.slice(-3)
  const end = Number(messages.at(-1)?.text)
  return Number.isNaN(end) ? { end: Number(asked?.text), said: numbersIn(said?.text ?? '').length } : { end, said: 0 }
}

/** Reads to the end of one run and returns all numbers; `onNumber` may break things in between. */
export async function readNumbers(
  session: Session,
  onNumber: (last: number) => void | Promise<void> = () => {},
): Promise<number[]> {
  let text = ''
  for await (const event of session.events()) {
    if (event.type === 'message') {
      text += event.data.text
      await onNumber(numbersIn(text).at(-1) as number)
    } else if (event.type === 'stream_end') break
  }
  return numbersIn(text)
}

/** Reads an answer to its end, which is asked for again each time its run is interrupted; returns all numbers. */
export async function readAnswer(
  session: Session,
  run: string,
  onNumber: (last: number, run: string) => void | Promise<void> = () => {},
): Promise<number[]> {
  let text = ''
  for await (const event of session.events()) {
    if (event.type === 'message') {
      text += event.data.text
      await onNumber(numbersIn(text).at(-1) as number, event.data.run)
    } else if (event.type === 'stream_end' && event.data.run === run) {
      if (event.data.status !== 'interrupted') break
      run = session.resume(run).id
    }
  }
  return numbersIn(text)
}

/** Everything up to and including the first event that is wanted. */
export async function readUntil(session: Session, isLast: (event: SessionLogEvent) => boolean): Promise<SessionLogEvent[]> {
  const events: SessionLogEvent[] = []
  for await (const event of session.events()) {
    events.push(event)
    if (isLast(event)) break
  }
  return events
}

export function oneTo(end: number): number[] {
  return Array.from({ length: end }, (_, index) => index + 1)
}

/** Resolves at the first status that is wanted, now or later. */
export function status(client: Client, isWanted: (status: ConnectionStatus) => boolean): Promise<ConnectionStatus> {
  return new Promise((resolve) => {
    if (isWanted(client.connection.current)) return resolve(client.connection.current)
    const leave = client.connection.subscribe((next) => {
      if (!isWanted(next)) return
      leave()
      resolve(next)
    })
  })
}

function numbersIn(text: string): number[] {
  return text.trim() === '' ? [] : text.trim().split(' ').map(Number)
}
