/** Which models the next question goes to: one, or up to four side by side. */
import { useCallback, useState } from 'react'
import { shortenName } from '../chat/short-name.ts'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from '../ui/button.tsx'
import { ChevronIcon, CloseIcon, PlusIcon } from '../ui/icons.tsx'
import { Ellipsis } from '../ui/text.tsx'
import { lanesShownMax } from './limits.ts'
import { ModelPicker } from './model-picker.tsx'
import styles from './models.module.css'
import type { Models } from './use-models.ts'

export function ModelChoice({ models, onDone }: { models: Models; onDone: () => void }) {
  const { t } = useLanguage()
  const { chosen, choose, list, hasFailed } = models
  /** Which of the chosen is being replaced; one past the last adds another. */
  const [editing, setEditing] = useState<number>()

  const close = useCallback(() => setEditing(undefined), [])
  const finish = (model?: string) => {
    if (model !== undefined && editing !== undefined) choose([...chosen.slice(0, editing), model, ...chosen.slice(editing + 1)])
    close()
    onDone()
  }

  return (
    <div className={styles.choice}>
      {/* Before the list has arrived there is no name yet, only the server's default. */}
      {(chosen.length === 0 ? [t.models.serverDefault] : chosen).map((name, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the same model may stand there twice
        <span key={`${index} ${name}`} className={styles.chip}>
          <button
            type="button"
            className={styles.name}
            aria-label={t.models.choose(name)}
            aria-haspopup="dialog"
            aria-expanded={editing === index}
            title={name}
            data-testid={index === 0 ? 'model-menu' : undefined}
            // The press would first close the open list as a press outside of it, and then open it again.
            onPointerDown={(event) => editing === index && event.stopPropagation()}
            onClick={() => setEditing(editing === index ? undefined : index)}
          >
            <Ellipsis>{shortenName(name, 20)}</Ellipsis>
            <ChevronIcon size={14} />
          </button>
          {chosen.length > 1 && (
            <button
              type="button"
              className={styles.remove}
              data-testid="model-chip-remove"
              aria-label={t.models.remove(name)}
              onClick={() => choose(chosen.filter((_, other) => other !== index))}
            >
              <CloseIcon size={14} />
            </button>
          )}
        </span>
      ))}
      {chosen.length > 0 && chosen.length < lanesShownMax && (
        <Button
          look="small"
          className={styles.add}
          aria-label={t.models.compareLabel}
          title={t.models.compareLabel}
          aria-haspopup="dialog"
          data-testid="compare"
          onClick={() => setEditing(chosen.length)}
        >
          <PlusIcon size={14} />
          {t.models.compare}
        </Button>
      )}
      {editing !== undefined && (
        <ModelPicker
          key={editing}
          list={list}
          hasFailed={hasFailed}
          current={chosen[editing]}
          onChoose={finish}
          onClose={() => finish()}
        />
      )}
    </div>
  )
}
