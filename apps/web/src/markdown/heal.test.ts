import { expect, test } from 'vitest'
import { healTail } from './heal.ts'

test.each([
  ['**bo', '**bo**'],
  ['a **', 'a'],
  ['**bold*', '**bold**'],
  ['**bold**', '**bold**'],
  ['an *it', 'an *it*'],
  ['an _it', 'an _it_'],
  ['~~go', '~~go~~'],
  ['2 * 3', '2 * 3'],
  ['snake_case', 'snake_case'],
  ['use `npm', 'use `npm`'],
  ['see [the docs', 'see the docs'],
  ['see [the docs](htt', 'see the docs'],
  ['see [the docs](https://a.example)', 'see [the docs](https://a.example)'],
  ['array[0]', 'array[0]'],
  ['array[0', 'array[0'],
  ['[docs][1', '[docs][1'],
  ['it says [1]', 'it says [1]'],
  ['- [', ''],
  ['- [x]', ''],
  ['- [x] done', '- [x] done'],
  ['Items:\n-', 'Items:\n'],
  ['Items:\n- ', 'Items:\n'],
  ['Title\n=', 'Title\n'],
  ['a\n\n---', 'a\n\n'],
  ['- **', ''],
  ['##', ''],
  ['```p', ''],
  ['a\n```', 'a\n'],
  ['- ```py', ''],
  ['```py\n', '```py\n'],
  ['```ts\nconst a = **b', '```ts\nconst a = **b'],
  ['```ts\n- a\n``', '```ts\n- a\n'],
  ['```ts\nx\n```\n**y', '```ts\nx\n```\n**y**'],
  ['````md\n```ts\n**y', '````md\n```ts\n**y'],
  ['first **line**\nsecond **li', 'first **line**\nsecond **li**'],
  ['- a ** b\n- c', '- a ** b\n- c'],
  ['a &rar', 'a'],
  ['a <br', 'a'],
  ['a < b', 'a < b'],
  ['| a |', ''],
  ['Look:\n| a | b', 'Look:\n'],
  ['| a | b |\n', '| a | b |\n|---|---|'],
  ['| a \\| b | c |\n|-', '| a \\| b | c |\n|---|---|'],
  ['| a | b |\n|:-|', '| a | b |\n|---|---|'],
  ['| a | b |\n|:-|-:|', '| a | b |\n|:-|-:|'],
  ['| a |\n|-|\n| **c', '| a |\n|-|\n| **c**'],
  ['| a |\n|-|\n', '| a |\n|-|\n'],
])('%j is shown as %j until more comes', (text, shown) => {
  expect(healTail(text)).toBe(shown)
})

test.each([
  ['line ends', '\n'],
  ['asterisks', '*'],
  ['brackets', '['],
  ['backticks', '`'],
  ['fences', '```\n'],
  ['rows', '|\n'],
])('%s without end cost no more than their number', (_, part) => {
  const time = (count: number) => {
    const text = `{"a": 1${part.repeat(count)}`
    // The quickest of several: other processes make single ones slower.
    const times = Array.from({ length: 7 }, () => {
      const began = performance.now()
      healTail(text)
      return performance.now() - began
    })
    return Math.min(...times)
  }
  time(1_000)
  // Of the square it would be 64 times as much.
  expect(time(80_000)).toBeLessThan(Math.max(5, 24 * time(10_000)))
})
