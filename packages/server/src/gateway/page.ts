/** The web page: its files, and what browsers may do with it. */
import { readFile } from 'node:fs/promises'
import { serveStatic } from '@hono/node-server/serve-static'
import type { Hono } from 'hono'
import type { FindClient } from '../access/proxies.ts'
import { identifyNobody, type RequestEnv } from './identify.ts'

const policy = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  // Another site's window that opened the page gets no handle of it.
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
  'referrer-policy': 'same-origin',
  'cache-control': 'no-cache',
}

/** A year; without the names below this one, which may be other people's. */
const transportSecurity = 'max-age=31536000'

export function servePage(app: Hono<RequestEnv>, root: string, findClient: FindClient): void {
  app.use('/assets/*', async (context, next) => {
    await next()
    if (context.res.ok) context.header('cache-control', 'public, max-age=31536000, immutable')
  })
  app.on('GET', ['/', '/index.html'], async (context) => {
    for (const [name, value] of Object.entries(headers)) context.header(name, value)
    // In a server of the host it would be about all of the host's pages.
    const isOurs = context.env?.isOwnServer === true
    if (isOurs && identifyNobody(context, findClient).isSecure) context.header('strict-transport-security', transportSecurity)
    return context.html(await readFile(`${root}/index.html`, 'utf8'))
  })
  app.use('/*', serveStatic({ root }))
}
