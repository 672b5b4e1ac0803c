/** Goes on with an answer that ended before its time. */
import { useLanguage } from '../i18n/language.tsx'
import { Button, type ButtonProps } from '../ui/button.tsx'
import { PlayIcon } from '../ui/icons.tsx'

/** What there is to go on with. */
export interface Continuable {
  /** Other lanes of the run go on with it. */
  readonly isAll: boolean
  /** Requested, and not recorded yet. */
  readonly isPending: boolean
  onContinue(): void
}

export function ContinueButton({ isAll, isPending, onContinue, look }: Continuable & Pick<ButtonProps, 'look'>) {
  const { t } = useLanguage()
  return (
    <Button look={look} disabled={isPending} onClick={onContinue} data-testid="continue">
      <PlayIcon size={14} />
      {isPending ? t.continuing : isAll ? t.continueAll : t.continue}
    </Button>
  )
}
