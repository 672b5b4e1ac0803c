/** Connections that are reset or half-closed in a storm: the server releases everything it held for them. */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { TransportName } from '@millrace/client'
import { createMillrace, type Engine, memoryEngine } from 'millrace'
import { expect, it, onTestFinished } from 'vitest'

const transports: readonly TransportName[] = ['sse', 'ws', 'hybrid', 'poll']

/** On a busy machine. */
const patience = { timeout: 10_000 }

const handshake = [
  'GET /ws/chat HTTP/1.1',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
].join('\r\n')
const attach = JSON.stringify({ type: 'attach', session: 's' })
/** Clients must mask their frames; a mask of zeros keeps the payload. */
const attachFrame = `\x81${String.fromCharCode(0x80 + attach.length)}\0\0\0\0${attach}`
const stream = 'GET /api/stream?session=s HTTP/1.1'

/** The request of each connection of one reader. */
const readers: Record<TransportName, readonly { readonly head: string; readonly more?: string }[]> = {
  sse: [{ head: stream }],
  ws: [{ head: handshake, more: attachFrame }],
  hybrid: [{ head: handshake.replace('/ws/chat', '/ws/chat?session=s&down=sse') }, { head: stream }],
  poll: [{ head: stream.replace('session=s', 'session=s&live=poll&wait=30') }],
}

it.each(transports)(
  'a storm of resets and half-closes over %s leaves no connection, watcher, timer or file behind',
  async (transport) => {
    const { engine, watchers } = watchedEngine()
    // These sockets acknowledge no heartbeat, and all of them must be open at once, however slow the machine.
    const millrace = createMillrace({ engine, heartbeatMs: 2000 })
    onTestFinished(() => millrace.close())
    const { port } = await millrace.listen({ port: 0 })
    await engine.append('s', [])

    async function storm(): Promise<void> {
      const sockets = Array.from({ length: 40 }, () => readers[transport].map((sent) => openTcp(port, sent))).flat()
      const gone = Promise.all(sockets.map((socket) => once(socket, 'close')))
      await expect.poll(() => millrace.connections, patience).toBe(sockets.length)
      await expect.poll(watchers, patience).toBeGreaterThan(0)
      // The server does not ignore a half-close: it closes its side, too.
      for (const [index, socket] of sockets.entries()) {
        if (index % 3 === 0) socket.end()
        else socket.resetAndDestroy()
      }
      await gone
      await expect.poll(() => [millrace.connections, watchers()], patience).toEqual([0, 0])
    }

    await storm()
    const before = await heldResources()
    await storm()
    await storm()
    const after = await heldResources()
    // One for each connection would be many more; one or two are the test's own.
    expect(after.files - before.files).toBeLessThan(5)
    expect(after.timers - before.timers).toBeLessThan(5)
  },
)

function openTcp(port: number, { head, more = '' }: { readonly head: string; readonly more?: string }): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {}).resume()
  socket.write(`${head}\r\nhost: localhost\r\n\r\n${more}`, 'latin1')
  return socket
}

/** Open files and active timers, once no socket is left. */
async function heldResources(): Promise<{ readonly files: number; readonly timers: number }> {
  const count = (name: string) => process.getActiveResourcesInfo().filter((one) => one === name).length
  await expect.poll(() => count('TCPSocketWrap'), patience).toBe(0)
  return { files: readdirSync('/proc/self/fd').length, timers: count('Timeout') }
}

function watchedEngine(): { readonly engine: Engine; watchers(): number } {
  const engine = memoryEngine()
  let watchers = 0
  return {
    engine: {
      ...engine,
      watch(log, bell) {
        const unwatch = engine.watch(log, bell)
        watchers += 1
        return () => {
          watchers -= 1
          unwatch()
        }
      },
    },
    watchers: () => watchers,
  }
}
