import { expect, it } from 'vitest'
import { redact } from './redact.ts'

const env = { OPENAI_API_KEY: 'sk-SECRET\nsk-OTHER', hub_token: '“tok-123456”', DB_PASSWORD: 'pass', HOME: '/home/someone' }

it.each([
  ['verbatim', 'Bearer sk-SECRET\nsk-OTHER is invalid', 'Bearer [redacted]\n[redacted] is invalid'],
  ['escaped', String.raw`"Bearer sk-SECRET\nsk-OTHER"`, String.raw`"Bearer [redacted]\n[redacted]"`],
  ['without its quotes', 'tok-123456', '[redacted]'],
  ['inside other text', 'https://x/?key=sk-OTHER&n=1', 'https://x/?key=[redacted]&n=1'],
])('removes a secret %s', (_how, text, expected) => expect(redact(text, env)).toBe(expected))

it('keeps placeholders and values that are not secret', () => {
  expect(redact('pass /home/someone', env)).toBe('pass /home/someone')
})
