/**
 * Where the question is written. It is never locked: one may type, and send, while an answer is
 * being written. Stop is a button of its own, so that no key or press means two things.
 */
import type { Session } from '@millrace/client'
import type { UploadedFile } from '@millrace/client/files'
import { memo, type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { isEnterLine, modifierName, useEnterLine } from '../settings/enter.ts'
import { keepSetting, readSetting } from '../settings/storage.ts'
import { Button } from '../ui/button.tsx'
import { SendIcon, StopIcon } from '../ui/icons.tsx'
import { AttachmentList } from './attachment-list.tsx'
import styles from './composer.module.css'
import { useComposition } from './composition.ts'
import { readKey } from './enter.ts'
import { AttachButton, DropArea } from './file-input.tsx'
import { questionLengthMax } from './limits.ts'
import { ModelChoice } from './model-choice.tsx'
import { useAttachments } from './use-attachments.ts'
import type { Models } from './use-models.ts'

export interface ComposerProps {
  readonly session: Session
  /** Names the draft; a session not begun yet has one of its own. */
  readonly draftOf: string
  readonly models: Models
  /** `stoppable`: something is being answered; `stopping`: a stop was requested. */
  readonly activity: 'idle' | 'stoppable' | 'stopping'
  readonly field: RefObject<HTMLTextAreaElement | null>
  /** A question that was withdrawn; it returns to the field unless the field has other text. */
  readonly returned: { readonly query: string } | undefined
  readonly onSend: (query: string, files: readonly UploadedFile[]) => void
  readonly onStop: () => void
}

export const Composer = memo(function Composer(props: ComposerProps) {
  const { session, draftOf, models, activity, field, returned, onSend, onStop } = props
  const { t, number } = useLanguage()
  const [draft, setDraft] = useDraft(draftOf)
  const attachments = useAttachments(session)
  const composition = useComposition()
  const [isLine, setLine] = useEnterLine()
  const isTooLong = draft.length > questionLengthMax
  const canSend = (draft.trim() !== '' || attachments.list.length > 0) && !isTooLong && attachments.isReady

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

  const sendingKey = isLine ? `${modifierName}+Enter` : 'Enter'
  const hint = t.enter.hint(sendingKey, isLine ? 'Enter' : 'Shift+Enter')

  const send = () => {
    if (!canSend) return
    onSend(draft, attachments.take())
    setDraft('')
  }

  const onKeyDown = (event: React.KeyboardEvent<HTMLTextAreaElement>) => {
    const meaning = readKey(event.nativeEvent, { msSinceComposition: composition.msSinceEnd(), isEnterLine: isEnterLine() })
    if (meaning !== 'type') event.preventDefault()
    if (meaning === 'send') send()
    else if (event.key === 'Escape' && draft === '' && activity === 'stoppable' && !composition.owns(event)) onStop()
  }

  return (
    <DropArea onFiles={attachments.add}>
      <AttachmentList list={attachments.list} onRemove={attachments.remove} />
      <textarea
        ref={field}
        id="composer"
        className={styles.field}
        data-testid="composer"
        aria-label={t.composerLabel}
        aria-invalid={isTooLong}
        placeholder={t.composerPlaceholder}
        title={hint}
        rows={1}
        dir="auto"
        enterKeyHint="enter"
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={onKeyDown}
        onCompositionEnd={composition.onCompositionEnd}
        onPaste={(event) => {
          if (event.clipboardData.files.length === 0) return
          event.preventDefault()
          attachments.add(event.clipboardData.files)
        }}
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
        <AttachButton onFiles={attachments.add} />
        {/* Seen before the buttons, but one Tab from the text is what ends an answer. */}
        <ModelChoice models={models} onDone={() => field.current?.focus()} />
        <Button look="quiet" className={styles.enter} title={hint} data-testid="enter" onClick={() => setLine(!isLine)}>
          {t.enter.sends(sendingKey)}
        </Button>
      </div>
    </DropArea>
  )
})

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
