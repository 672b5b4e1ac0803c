/**
 * What a key in the composer does. Somebody who writes Chinese, Japanese or Korean presses
 * Enter to accept a word, and must not send half a sentence by it. Browsers tell of that in
 * different orders: Chromium says `isComposing`; Safari ends the composition first and then sends
 * the Enter with `keyCode` 229; some input methods do neither, but within the same few milliseconds.
 */
export interface EnterKey {
  readonly key: string
  readonly keyCode: number
  readonly shiftKey: boolean
  readonly ctrlKey: boolean
  readonly metaKey: boolean
  readonly isComposing: boolean
}

export interface EnterContext {
  readonly msSinceComposition: number
  /** Enter alone makes a line: on a touch keyboard, or because the reader chose so. */
  readonly isEnterLine: boolean
}

const afterCompositionMs = 50

/** Whether a key is the input method's: it accepts or cancels a word there, and means nothing to the field. */
export function isOfInputMethod(event: Pick<EnterKey, 'isComposing' | 'keyCode'>, msSinceComposition: number): boolean {
  return event.isComposing || event.keyCode === 229 || msSinceComposition < afterCompositionMs
}

/** `ignore`: neither send nor make a new line, since the key was meant for the input method. */
export type KeyMeaning = 'send' | 'ignore' | 'type'

export function readKey(event: EnterKey, context: EnterContext): KeyMeaning {
  if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229) return 'type'
  if (event.ctrlKey || event.metaKey) return 'send'
  if (event.shiftKey || context.isEnterLine) return 'type'
  return context.msSinceComposition < afterCompositionMs ? 'ignore' : 'send'
}
