/** What somebody may decide about a call before it is carried out, on any device: the first decision counts. */
import type { CallDecision, MillraceError } from '@millrace/client'
import { useEffect, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { CheckIcon, CloseIcon, RenameIcon } from '../ui/icons.tsx'
import styles from './tool-card.module.css'
import type { ToolPart } from './tool-card.tsx'

export interface ApprovalProps {
  readonly tool: ToolPart
  readonly onDecide: (decision: CallDecision) => Promise<unknown>
}

export function Approval({ tool: { call, arguments: given, expiresAt }, onDecide }: ApprovalProps) {
  const { t } = useLanguage()
  const [isBusy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const [draft, setDraft] = useState<string>()
  const isExpired = useIsOver(expiresAt)

  const decide = async (decision: CallDecision) => {
    setBusy(true)
    setError(undefined)
    try {
      // What it changes comes through the log, like everything else.
      await onDecide(decision)
    } catch (cause) {
      const { code, message } = cause as MillraceError
      setError(t.error.titles[code] ?? message)
      setBusy(false)
    }
  }
  const edit = () => {
    try {
      void decide({ call, decision: 'edit', arguments: JSON.parse(draft ?? '') })
    } catch {
      setError(t.approval.notJson)
    }
  }

  if (isExpired) return <p className={styles.question}>{t.approval.expired}</p>
  return (
    <div data-testid="approval">
      <p className={styles.question}>{t.approval.question}</p>
      {draft !== undefined && (
        <textarea
          className={styles.draft}
          aria-label={t.tools.arguments}
          dir="ltr"
          spellCheck={false}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
        />
      )}
      {error !== undefined && (
        <p className={styles.problem} role="alert">
          {error}
        </p>
      )}
      <div className={styles.decisions}>
        {draft === undefined ? (
          <>
            <Button
              look="small"
              disabled={isBusy}
              data-testid="approve"
              onClick={() => void decide({ call, decision: 'approve' })}
            >
              <CheckIcon size={14} />
              {t.approval.approve}
            </Button>
            <Button look="small" disabled={isBusy} data-testid="reject" onClick={() => void decide({ call, decision: 'reject' })}>
              <CloseIcon size={14} />
              {t.approval.reject}
            </Button>
            <Button
              look="small"
              disabled={isBusy}
              data-testid="edit-call"
              onClick={() => setDraft(JSON.stringify(given, null, 2))}
            >
              <RenameIcon size={14} />
              {t.approval.edit}
            </Button>
          </>
        ) : (
          <>
            <Button look="small" disabled={isBusy} data-testid="approve-edited" onClick={edit}>
              <CheckIcon size={14} />
              {t.approval.approveEdited}
            </Button>
            <Button look="small" onClick={() => setDraft(undefined)}>
              {t.cancel}
            </Button>
          </>
        )}
      </div>
    </div>
  )
}

/** The longest that a timer can wait. */
const timerMsMax = 2_147_483_647

function useIsOver(at = Number.POSITIVE_INFINITY): boolean {
  const [isOver, setOver] = useState(() => Date.now() >= at)
  useEffect(() => {
    const leftMs = at - Date.now()
    if (leftMs > timerMsMax) return
    const timer = window.setTimeout(() => setOver(true), leftMs)
    return () => window.clearTimeout(timer)
  }, [at])
  return isOver
}
