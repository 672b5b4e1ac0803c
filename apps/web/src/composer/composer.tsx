/**
 * Where the question is written. It is never locked: one may type, and send, while an answer is
 * being written. Stop is a button of its own, so that no key or press means two things.
 */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { keepSetting, readSetting } from '../settings/storage.ts'
import { Button } from '../ui/button.tsx'
import { SendIcon, StopIcon } from '../ui/icons.tsx'
import styles from './composer.module.css'
import { useComposition } from './composition.ts'
import { readKey } from './enter.ts'
import { questionLengthMax } from './limits.ts'
import { ModelChoice } from './model-choice.tsx'
import type { Models } from './use-models.ts'

export interface ComposerProps {
  /** Names the draft; a session not begun yet has one of its own. */
  readonly session: string | undefined
  readonly models: Models
  /** `stoppable`: something is being answered; `stopping`: a stop was requested. */
  readonly activity: 'idle' | 'stoppable' | 'stopping'
  readonly field: RefObject<HTMLTextAreaElement | null>
  /** A question that was taken back; it returns to the field unless something else stands there. */
  readonly returned: { readonly query: string } | undefined
  readonly onSend: (query: string) => void
  readonly onStop: () => void
}

export function Composer({ session, models, activity, field, returned, onSend, onStop }: ComposerProps) {
  const { t, number } = useLanguage()
  const [draft, setDraft] = useDraft(session ?? 'new')
  const composition = useComposition()
  const isTooLong = draft.length > questionLengthMax
  const canSend = draft.trim() !== '' && !isTooLong

  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text, which it reads from the element
  useLayoutEffect(() => {
    if (field.current !== null) fitHeight(field.current)
  }, [draft, field])

  const taken = useRef(returned)
  useEffect(() => {
    if (returned === undefined || taken.current === returned) return
    taken.current = returned
    if (field.current?.value === '') setDraft(returned.query)
  }, [returned, field, setDraft])

  const send = () => {
    if (!canSend) return
    onSend(draft)
    setDraft('')
  }

  const onKeyDown = (event: React.KeyboardEvent<HTMLTextAreaElement>) => {
    const context = {
      msSinceComposition: composition.msSinceEnd(),
      isCoarsePointer: window.matchMedia('(pointer: coarse)').matches,
    }
    const meaning = readKey(event.nativeEvent, context)
    if (meaning !== 'type') event.preventDefault()
    if (meaning === 'send') send()
    else if (event.key === 'Escape' && draft === '' && activity === 'stoppable' && !composition.owns(event)) onStop()
  }

  return (
    <div className={styles.composer}>
      <textarea
        ref={field}
        id="composer"
        className={styles.field}
        data-testid="composer"
        aria-label={t.composerLabel}
        aria-invalid={isTooLong}
        placeholder={t.composerPlaceholder}
        title={t.composerHint}
        rows={1}
        dir="auto"
        enterKeyHint="enter"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={onKeyDown}
        onCompositionEnd={composition.onCompositionEnd}
      />
      {isTooLong && <p className={styles.problem}>{t.queryTooLong(number(draft.length), number(questionLengthMax))}</p>}
      <div className={styles.buttons}>
        {activity !== 'idle' && (
          <Button look="small" className={styles.stop} data-testid="stop" disabled={activity === 'stopping'} onClick={onStop}>
            <StopIcon />
            {activity === 'stopping' ? t.stopping : t.stop}
          </Button>
        )}
        <button
          type="button"
          className={styles.send}
          data-testid="send"
          aria-label={t.send}
          title={t.send}
          disabled={!canSend}
          onClick={send}
        >
          <SendIcon size={18} />
        </button>
        {/* Seen before the buttons, but one Tab from the text is what ends an answer. */}
        <ModelChoice models={models} onDone={() => field.current?.focus()} />
      </div>
    </div>
  )
}

/** The stylesheet bounds the height; from there on the text scrolls. */
function fitHeight(element: HTMLTextAreaElement): void {
  element.style.height = 'auto'
  element.style.height = `${element.scrollHeight}px`
}

/** What was typed and not sent outlives a reload, for each conversation by itself. */
function useDraft(session: string): [string, (draft: string) => void] {
  const [draft, setDraft] = useState(() => readSetting(`draft.${session}`) ?? '')
  const shown = useRef(session)
  useEffect(() => {
    if (shown.current === session) return
    shown.current = session
    setDraft(readSetting(`draft.${session}`) ?? '')
  }, [session])
  const keepDraft = useCallback(
    (next: string) => {
      setDraft(next)
      keepSetting(`draft.${session}`, next === '' ? undefined : next)
    },
    [session],
  )
  return [draft, keepDraft]
}
