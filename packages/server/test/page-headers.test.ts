/** What browsers may do with the page: framed by nobody, opened by nobody, and over TLS from the time when it was. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMillrace, type MillraceOptions } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'

async function startPage(options: MillraceOptions = {}) {
  const page = mkdtempSync(join(tmpdir(), 'millrace-'))
  writeFileSync(join(page, 'index.html'), '<!doctype html>page')
  const millrace = createMillrace({ page, ...options })
  onTestFinished(async () => {
    await millrace.close()
    rmSync(page, { recursive: true })
  })
  return { millrace, ...(await millrace.listen({ port: 0 })) }
}

const behindTls = { headers: { 'x-forwarded-proto': 'https' } }

describe('the page', () => {
  it.each(['/', '/index.html', '/?session=s'])('has every header at %s', async (path) => {
    const { url } = await startPage()
    const { headers } = await fetch(`${url}${path}`)
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-security-policy': expect.stringMatching(/default-src 'self'.*object-src 'none'.*frame-ancestors 'none'/),
      'cross-origin-opener-policy': 'same-origin',
      'permissions-policy': expect.stringMatching(/camera=\(\).*microphone=\(\)/),
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    })
    expect(headers.get('strict-transport-security')).toBeNull()
  })

  it('of errors loads, runs and shows nothing of others, and is in no frame', async () => {
    const { url } = await startPage()
    const { headers } = await fetch(`${url}/docs/errors`)
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'unsafe-inline'; .*frame-ancestors 'none'$/,
    )
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('requires TLS from then on where a trusted proxy says that the browser used it', async () => {
    const { url } = await startPage({ access: { trustedProxies: ['127.0.0.1'] } })
    expect((await fetch(url, behindTls)).headers.get('strict-transport-security')).toBe('max-age=31536000')
    expect((await fetch(url)).headers.get('strict-transport-security')).toBeNull()
  })

  it('requires nothing where anybody may say so, nor for the other pages of a host', async () => {
    const { url } = await startPage()
    expect((await fetch(url, behindTls)).headers.get('strict-transport-security')).toBeNull()
    const { millrace } = await startPage({ access: { trustedProxies: ['127.0.0.1'] } })
    const server = createServer(millrace.handler)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, behindTls)
    expect([response.status, response.headers.get('strict-transport-security')]).toEqual([200, null])
  })
})
