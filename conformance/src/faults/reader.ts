/**
 * A reader that is light enough for hundreds in one process: it keeps its last position, reconnects from it, to the
 * next server if there are several, and starts over when its position is rejected.
 */
import { type IncomingMessage, request } from 'node:http'
import { createSseParser } from '@millrace/protocol'
import type { Given } from '../history.ts'
import type { LogRecord, WireEvent } from './log-record.ts'

export interface ReaderOptions {
  readonly record: LogRecord
  /** Servers; it connects to the first, and to the next one after each cut. */
  readonly urls: readonly string[]
  readonly transport: 'sse' | 'websocket'
  readonly onEvent: (event: WireEvent) => void
  /** How long it was disconnected, in milliseconds. */
  readonly onResumed: (ms: number) => void
  readonly onReset: () => void
}

export interface Reader {
  /** Of the last event received; undefined before the first, and after a reset. */
  readonly position: string | undefined
  close(): void
}

interface Connection {
  /** Resolves when the connection ends: `reset` if its position was rejected permanently. */
  readonly ended: Promise<'cut' | 'reset'>
  close(): void
}

type Connect = (url: string, from: string, on: { onOpen: () => void; onEvent: (event: WireEvent) => void }) => Connection

const backoffMs = { first: 20, most: 250 }
const answerMsMax = 5000
const resetCodes = new Set(['position_foreign', 'position_ahead', 'position_expired', 'session_not_found'])

export function openReader({ record, urls, transport, onEvent, onResumed, onReset }: ReaderOptions): Reader {
  const connect = transport === 'sse' ? openSse(record.source) : openWebSocket(record.source)
  let list: Given[] = record.openList()
  let position: string | undefined
  let connection: Connection | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let isClosed = false
  let attempts = 0
  let server = 0
  let cutAt: number | undefined
  attach()

  return {
    get position() {
      return position
    },
    close() {
      isClosed = true
      clearTimeout(timer)
      connection?.close()
    },
  }

  function attach(): void {
    connection = connect(urls[server % urls.length] as string, position ?? 'start', {
      onOpen() {
        attempts = 0
        if (cutAt !== undefined) onResumed(performance.now() - cutAt)
        cutAt = undefined
      },
      onEvent(event) {
        if (isClosed) return
        list.push(...record.toGiven(event))
        position = event.id
        onEvent(event)
      },
    })
    void connection.ended.then((why) => {
      if (isClosed) return
      cutAt ??= performance.now()
      if (why === 'reset' && position !== undefined) {
        list.push({ epoch: '', offset: 0 })
        list = record.openList()
        position = undefined
        onReset()
      }
      server += 1
      const delay = Math.min(backoffMs.most, backoffMs.first * 2 ** attempts++)
      timer = setTimeout(attach, delay * (0.5 + Math.random() / 2))
    })
  }
}

function openSse(source: string): Connect {
  return (url, from, { onOpen, onEvent }) => {
    const { promise: ended, resolve } = Promise.withResolvers<'cut' | 'reset'>()
    const asking = request(`${url}/api/stream?${source}&from=${from}`, { agent: false }, (response) => {
      asking.setTimeout(0)
      if (response.statusCode !== 200)
        return void readCode(response).then((code) => resolve(resetCodes.has(code) ? 'reset' : 'cut'))
      response.on('close', () => resolve('cut')).on('error', () => resolve('cut'))
      onOpen()
      const parser = createSseParser({ onEvent: ({ data, ...event }) => onEvent({ ...event, data: JSON.parse(data) }) })
      response.on('data', (chunk: Buffer) => parser.push(chunk))
    })
    // A stopped server accepts connections but does not respond.
    asking.setTimeout(answerMsMax, () => asking.destroy())
    asking.on('error', () => resolve('cut')).end()
    return { ended, close: () => asking.destroy() }
  }
}

async function readCode(response: IncomingMessage): Promise<string> {
  let body = ''
  try {
    for await (const chunk of response) body += chunk
    return (JSON.parse(body) as { error: { code: string } }).error.code
  } catch {
    return ''
  }
}

function openWebSocket(source: string): Connect {
  const [kind = '', name = ''] = source.split('=')
  return (url, from, { onOpen, onEvent }) => {
    const { promise: ended, resolve } = Promise.withResolvers<'cut' | 'reset'>()
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/chat`)
    const late = setTimeout(() => resolve('cut'), answerMsMax)
    socket.onopen = () => socket.send(JSON.stringify({ type: 'attach', [kind]: name, from }))
    socket.onclose = ({ code }) => resolve(code === 4404 ? 'reset' : 'cut')
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as { type: string; error?: { code: string } } & WireEvent
      if (message.type === 'event') onEvent(message)
      if (message.type === 'attached') {
        clearTimeout(late)
        onOpen()
      }
      if (message.type === 'error') resolve(resetCodes.has(message.error?.code ?? '') ? 'reset' : 'cut')
    }
    void ended.then(() => {
      clearTimeout(late)
      socket.close()
    })
    return { ended, close: () => resolve('cut') }
  }
}
