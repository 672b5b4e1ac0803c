import { encodeJson } from '@millrace/protocol'
import { expect, it } from 'vitest'

it('contains no character that Python takes for a line end, and parses to the same value', () => {
  // The line ends of Python's str.splitlines().
  const separators = '\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029'
  const value = { [separators]: [separators, 'a\u2028b', '\\u2028', 'plain 你好 😀'], undefined }
  const text = encodeJson(value)
  expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
  for (const separator of separators) expect(text).not.toContain(separator)
  expect(encodeJson('你')).toBe('"你"')
  expect(encodeJson({ a: '\u2029' }, 2)).toBe('{\n  "a": "\\u2029"\n}')
})
