import { expect, test } from 'vitest'
import { vetLink } from './inline.tsx'

test.each(['https://a.example/b?c#d', 'http://127.0.0.1:4600/', 'mailto:a@b.example', '/docs/errors#internal', '#part'])(
  '%s may be followed',
  (href) => {
    expect(vetLink(href)).toBe(href)
  },
)

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
])('%j may not', (href) => {
  expect(vetLink(href)).toBeUndefined()
})
