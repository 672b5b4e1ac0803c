/** A server process under attack from one address, and what a user at another address notices of it. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { LimitOptions } from 'millrace'
import { expect, onTestFinished } from 'vitest'
import { makeFolder } from '../../src/faults/folder.ts'
import { startMillrace } from '../../src/faults/server-process.ts'

export interface Target {
  readonly url: string
  readonly port: number
  /** Ends the measurement, prints it, and holds it to the bounds. */
  check(what: string): Promise<void>
}

const mebibyte = 2 ** 20
/** For a busy machine; alone it is a tenth of that. */
const p99MsMax = 3000
const growthMax = 300 * mebibyte

export async function startTarget(limits: LimitOptions = {}): Promise<Target> {
  const file = join(makeFolder(), 'millrace.config.json')
  writeFileSync(file, JSON.stringify({ limits }))
  const server = await startMillrace(['--engine', 'memory', '--config', file])
  const port = Number(new URL(server.url).port)
  const bystander = new Worker(new URL('./bystander-worker.ts', import.meta.url), { workerData: { port } })
  onTestFinished(() => bystander.terminate().then(() => {}))
  await once(bystander, 'message')
  const before = readMemory(server.pid)
  let peak = before
  const sampling = setInterval(() => {
    peak = Math.max(peak, readMemory(server.pid))
  }, 20)
  onTestFinished(() => clearInterval(sampling))
  return {
    url: server.url,
    port,
    async check(what) {
      const answered = once(bystander, 'message')
      bystander.postMessage('stop')
      const latencies = ((await answered)[0] as number[]).toSorted((one, other) => one - other)
      const at = (part: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? 0
      const growth = peak - before
      print(
        `${what}: others p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms of ${latencies.length}; memory +${(growth / mebibyte).toFixed(0)} MiB`,
      )
      expect(at(0.99)).toBeLessThan(p99MsMax)
      expect(growth).toBeLessThan(growthMax)
      expect(server.errors).not.toMatch(/"level":"(error|fatal)"/)
    },
  }
}

/** A figure that the test is about, for who reads its output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function readMemory(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

/** A connection of the attacker, and what the server has answered on it. */
export interface Attacker {
  readonly socket: Socket
  readonly text: () => string
  readonly closed: Promise<unknown>
}

export function attack(port: number, { isReading = true } = {}): Attacker {
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  const chunks: Buffer[] = []
  let bytes = 0
  // Not `once`, which rejects with the error of a connection that is reset.
  const closed = new Promise((resolve) => socket.once('close', resolve))
  if (isReading)
    socket.on('data', (chunk) => {
      bytes += chunk.length
      if (bytes <= 2 * mebibyte) chunks.push(chunk)
    })
  else socket.pause()
  return { socket, text: () => Buffer.concat(chunks).toString('latin1'), closed }
}

/** Writes again and again, as fast as the server takes it, until the connection is closed. */
export async function pour({ socket, closed }: Attacker, bytes: Buffer, totalMax = Number.POSITIVE_INFINITY): Promise<void> {
  for (let total = 0; !socket.destroyed && total < totalMax; total += bytes.length) {
    if (socket.write(bytes)) await new Promise(setImmediate)
    else await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
  }
}

export const httpRequest = (line: string, headers: Record<string, string> = {}, body = ''): string => {
  const all = { host: 'localhost', ...headers, ...(body !== '' && { 'content-length': String(Buffer.byteLength(body)) }) }
  return `${line} HTTP/1.1\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n${body}`
}

export const handshake = httpRequest('GET /ws/chat', {
  connection: 'upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
})

/** A frame of a client: masked, with a mask of zeros. */
export function frame(payload: Buffer, opcode = 1): Buffer {
  const { length } = payload
  const head = Buffer.alloc(length < 126 ? 2 : 10)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (length < 126 ? length : 127)
  if (length >= 126) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, Buffer.alloc(4), payload])
}

/** The code of the Close frame at the end of what a server has sent. */
export function closeCodeIn(text: string): number | undefined {
  const at = text.lastIndexOf('\x88')
  return at < 0 || text.length < at + 4 ? undefined : text.charCodeAt(at + 2) * 256 + text.charCodeAt(at + 3)
}

/** How often each status and code was answered. */
export function tally(text: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [, status, code = ''] of text.matchAll(
    /HTTP\/1\.1 (\d+)(?:(?!HTTP\/1\.1)[\s\S])*?(?:"code":"(\w+)"|(?=HTTP\/1\.1)|$)/g,
  )) {
    const key = `${status} ${code}`.trim()
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}
