import { expect, test } from 'vitest'
import { vetLink } from './inline.tsx'

const page = 'http://127.0.0.1:4600/?session=s'

test.each(['https://a.example/b?c#d', 'http://127.0.0.1:4700/', 'mailto:a@b.example'])('%s may be followed', (href) => {
  expect(vetLink(href, page)).toBe(href)
})

test.each([
  'javascript:alert(1)',
  'JaVaScRiPt:alert(1)',
  ' javascript:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,<script>',
  'vbscript:x',
  'file:///etc/passwd',
  'blob:x',
  'http://[',
  '#part',
  '/docs/errors#internal',
  'http://127.0.0.1:4600/docs/errors#internal',
  // Addresses of the server itself would be followed in the reader's name.
  '/api/chat?query=a&models=b',
  'api/chat?query=a',
  '?session=x',
  '../',
  '/docs/../api/chat?query=a',
  '/docs/%2e%2e/api/chat?query=a',
  '\\\\127.0.0.1:4600/api/chat?query=a',
  '//127.0.0.1:4600/api/chat?query=a',
  '//stranger.example/docs/',
  'http:/api/chat?query=a',
  'http://127.0.0.1:4600/api/chat?query=a',
  'https://user@127.0.0.1:4600/api/chat?query=a',
])('%j may not', (href) => {
  expect(vetLink(href, page)).toBeUndefined()
})
