import { expect, test } from 'vitest'
import { healTail } from './heal.ts'

test.each([
  ['**bo', '**bo**'],
  ['a **', 'a '],
  ['**bold*', '**bold**'],
  ['**bold**', '**bold**'],
  ['use `npm', 'use `npm`'],
  ['see [the docs', 'see the docs'],
  ['see [the docs]', 'see the docs'],
  ['see [the docs](htt', 'see the docs'],
  ['see [the docs](https://a.example)', 'see [the docs](https://a.example)'],
  ['- [ ', '- [ '],
  ['- [x]', '- [x]'],
  ['```ts\nconst a = **b', '```ts\nconst a = **b'],
  ['first **line**\nsecond **li', 'first **line**\nsecond **li**'],
])('%j is shown as %j until more comes', (text, shown) => {
  expect(healTail(text)).toBe(shown)
})
