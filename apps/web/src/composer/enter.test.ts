import { expect, test } from 'vitest'
import { readKey } from './enter.ts'

const enter = { key: 'Enter', keyCode: 13, shiftKey: false, ctrlKey: false, metaKey: false, isComposing: false }
const desk = { msSinceComposition: 10_000, isEnterLine: false }
const phone = { ...desk, isEnterLine: true }

test.each([
  ['Enter sends', enter, desk, 'send'],
  ['Shift+Enter is a new line', { ...enter, shiftKey: true }, desk, 'type'],
  ['Enter that accepts a word does not send (Chromium, Firefox)', { ...enter, isComposing: true }, desk, 'type'],
  ['Enter that accepts a word does not send (Safari)', { ...enter, keyCode: 229 }, desk, 'type'],
  ['Enter right after a composition does not send', enter, { ...desk, msSinceComposition: 49 }, 'ignore'],
  ['Enter a moment later does', enter, { ...desk, msSinceComposition: 50 }, 'send'],
  ['Enter is a new line on a phone, or where it was chosen', enter, phone, 'type'],
  ['Ctrl+Enter always sends', { ...enter, ctrlKey: true }, phone, 'send'],
  ['Command+Enter always sends', { ...enter, metaKey: true, shiftKey: true }, desk, 'send'],
  ['not in the middle of a word, though', { ...enter, ctrlKey: true, isComposing: true }, desk, 'type'],
  ['no other key sends', { ...enter, key: 'a', keyCode: 65, ctrlKey: true }, desk, 'type'],
])('%s', (_, key, context, meaning) => {
  expect(readKey(key, context)).toBe(meaning)
})
