/** Runs what the guide of the admin API shows, from its text: every command, and the check of a webhook. */
import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { createMillrace } from 'millrace'
import { describe, expect, it, onTestFinished } from 'vitest'

const read = (file: string) => readFileSync(new URL(`../../docs/guides/${file}`, import.meta.url), 'utf8')
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, code = '']) => code)
const run = promisify(execFile)

describe.each(['admin.md', 'admin.zh-CN.md'])('%s', (file) => {
  const text = read(file)

  it('shows commands that work', async () => {
    const [create = '', variables = '', ...rest] = blocks(text, 'sh')
    const { stdout: adminKey } = await run('sh', ['-c', `${create}printf %s "$MILLRACE_ADMIN_KEY"`])
    const millrace = createMillrace({ access: { adminKey }, model: 'sim:count?n=100000&tps=10' })
    onTestFinished(() => millrace.close())
    const { url } = await millrace.listen({ port: 0 })
    const call = async (path: string) =>
      (await fetch(`${url}/api/admin${path}`, { headers: { authorization: `Bearer ${adminKey}` } })).json()
    await millrace.publish({ channel: 'room:1', data: 1 })
    const { answeredBy: node } = (await call('/nodes')) as { answeredBy: string }
    const env = {
      PATH: process.env['PATH'] ?? '',
      MILLRACE_ADMIN_KEY: adminKey,
      run: (await millrace.ask({ query: 'x' })).id,
      id: (await millrace.keys.create({ name: 'shop' })).id,
      node,
    }
    const [define = '', first = ''] = variables.replace('http://127.0.0.1:4600', url).split(/^(?=curl)/m)
    const commands = [first.trim(), ...rest.flatMap((block) => block.trim().split('\n'))]
    expect(commands.length).toBeGreaterThan(15)
    for (const command of commands) {
      const { stdout } = await run('sh', ['-c', `set -e\n${define}${command} --fail-with-body`], { env })
      expect([command, JSON.parse(stdout)]).toEqual([command, expect.not.objectContaining({ error: expect.anything() })])
    }
    expect(await call('/changes?limit=1')).toMatchObject({ changes: [{ request: 'DELETE /api/admin/nodes/:id/drain' }] })
  })

  it('shows how a webhook is verified', async () => {
    const [code = ''] = blocks(text, 'js')
    type Verify = (secret: string, headers: Record<string, string>, body: string) => unknown
    const { verify } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { verify: Verify }
    const key = Buffer.alloc(32, 7)
    const secret = `whsec_${key.toString('base64')}`
    const timestamp = String(Math.floor(Date.now() / 1000))
    const body = '{"type":"run.ended"}'
    const sign = (at: string) => `v1,${createHmac('sha256', key).update(`msg_a.${at}.${body}`).digest('base64')}`
    const headers = { 'webhook-id': 'msg_a', 'webhook-timestamp': timestamp, 'webhook-signature': `v1,AAAA ${sign(timestamp)}` }
    expect(verify(secret, headers, body)).toEqual({ type: 'run.ended' })
    const old = { ...headers, 'webhook-timestamp': '1', 'webhook-signature': sign('1') }
    expect(() => verify(secret, old, body)).toThrow(/too old/)
    for (const [wrong, text] of [
      [headers, `${body} `],
      [{ ...headers, 'webhook-id': 'msg_b' }, body],
    ] as const)
      expect(() => verify(secret, wrong, text)).toThrow(/not signed/)
  })
})
