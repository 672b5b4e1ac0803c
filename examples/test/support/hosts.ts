/** Millrace in each kind of host, on a free port. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import type { Millrace } from 'millrace'

export interface Host {
  readonly port: number
  /** Whether WebSockets reach Millrace. */
  readonly hasWebSocket: boolean
  /** The host's own; undefined where it is Millrace's. */
  readonly server?: Server
  close(): Promise<void>
}

export const hosts: Readonly<Record<string, (millrace: Millrace) => Promise<Host>>> = {
  async 'its own server'(millrace) {
    const { port } = await millrace.listen({ port: 0 })
    return { port, hasWebSocket: true, close: async () => {} }
  },
  'node:http': (millrace) => listen(createServer(millrace.handler).on('upgrade', millrace.upgrade).listen(0, '127.0.0.1'), true),
  Express(millrace) {
    const server = express().use(express.json()).use(millrace.handler).listen(0, '127.0.0.1')
    return listen(server.on('upgrade', millrace.upgrade), true)
  },
  async Fastify(millrace) {
    const app = fastify()
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.all('/api/*', (request, reply) => {
      reply.hijack()
      millrace.handler(request.raw, reply.raw)
    })
    app.server.on('upgrade', millrace.upgrade)
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as AddressInfo).port, hasWebSocket: true, server: app.server, close: () => app.close() }
  },
  Hono(millrace) {
    const app = new Hono().all('/api/*', (context) => millrace.fetch(context.req.raw))
    return listen(serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server, false)
  },
}

async function listen(server: Server, hasWebSocket: boolean): Promise<Host> {
  if (!server.listening) await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    hasWebSocket,
    server,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
