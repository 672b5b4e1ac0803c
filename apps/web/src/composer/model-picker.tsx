/** The list to choose one model from: searched by typing, or a full name of any other. */
import type { ModelInfo, ModelList } from '@millrace/client'
import { useEffect, useId, useRef, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { classes } from '../ui/classes.ts'
import { CheckIcon } from '../ui/icons.tsx'
import popup from '../ui/popup.module.css'
import { usePressOutside } from '../ui/press-outside.ts'
import { Badge, Ellipsis } from '../ui/text.tsx'
import { useComposition } from './composition.ts'
import styles from './models.module.css'
import { kindOf } from './use-models.ts'

export interface ModelPickerProps {
  readonly list: ModelList | undefined
  readonly hasFailed: boolean
  readonly current: string | undefined
  readonly onChoose: (model: string) => void
  readonly onClose: () => void
}

interface Option {
  readonly name: string
  readonly description: string
  readonly isTyped: boolean
}

export function ModelPicker({ list, hasFailed, current, onChoose, onClose }: ModelPickerProps) {
  const { t } = useLanguage()
  const id = useId()
  const [search, setSearch] = useState('')
  const [active, setActive] = useState(() => Math.max(0, list?.models.findIndex(({ name }) => name === current) ?? 0))
  const panel = useRef<HTMLDivElement>(null)
  const composition = useComposition()
  const options = findOptions(list?.models ?? [], search)
  const chosen = options[Math.min(active, options.length - 1)]

  usePressOutside(panel, onClose)

  useEffect(() => {
    panel.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' })
  })

  const onKeyDown = (event: React.KeyboardEvent) => {
    if (composition.owns(event)) return
    if (event.key === 'Escape') onClose()
    else if (event.key === 'Enter' && chosen !== undefined) onChoose(chosen.name)
    else if (event.key === 'ArrowDown') setActive((active + 1) % Math.max(1, options.length))
    else if (event.key === 'ArrowUp') setActive((active + options.length - 1) % Math.max(1, options.length))
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <div
      ref={panel}
      role="dialog"
      aria-label={t.models.title}
      className={classes(popup.popup, styles.picker)}
      data-testid="model-picker"
      onKeyDown={onKeyDown}
    >
      <input
        // biome-ignore lint/a11y/noAutofocus: it appears because a button was pressed to search in it
        autoFocus
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={chosen === undefined ? undefined : `${id}-${options.indexOf(chosen)}`}
        aria-label={t.models.search}
        placeholder={t.models.search}
        value={search}
        maxLength={256}
        autoComplete="off"
        spellCheck={false}
        data-testid="model-search"
        className={styles.search}
        onCompositionEnd={composition.onCompositionEnd}
        onChange={(event) => {
          setSearch(event.target.value)
          setActive(0)
        }}
      />
      <div role="listbox" id={`${id}-list`} aria-label={t.models.title} className={styles.list}>
        {options.map((option, index) => (
          <div
            key={option.name}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={option === chosen}
            className={classes(popup.option, styles.option)}
            data-model={option.name}
            onPointerMove={() => setActive(index)}
            onClick={() => onChoose(option.name)}
            onKeyDown={onKeyDown}
          >
            <OptionText option={option} list={list} />
            {option.name === current && <CheckIcon />}
          </div>
        ))}
        {options.length === 0 && <p className={styles.none}>{hasFailed ? t.models.loadFailed : t.models.none}</p>}
      </div>
      <p className={styles.hint}>{t.models.hint}</p>
    </div>
  )
}

function OptionText({ option, list }: { option: Option; list: ModelList | undefined }) {
  const { t } = useLanguage()
  const kind = kindOf(option.name, list)
  // The default is described by why it was chosen.
  const description = t.models.descriptions[option.name] ?? t.models.reasons[option.description] ?? option.description
  return (
    <span className={popup.words}>
      <span className={styles.first}>
        <Ellipsis>{option.isTyped ? t.models.use(option.name) : option.name}</Ellipsis>
        {option.name === list?.default && <Badge>{t.models.preferred}</Badge>}
        {kind !== 'language' && <Badge>{t.notLanguageModel}</Badge>}
      </span>
      {description !== '' && <span className={popup.detail}>{description}</span>}
    </span>
  )
}

function findOptions(models: readonly ModelInfo[], search: string): Option[] {
  const typed = search.trim()
  const words = typed.toLowerCase().split(/\s+/)
  const found = models.filter(({ name, description }) => {
    const text = `${name} ${description}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
  const options = found.map(({ name, description }) => ({ name, description, isTyped: false }))
  // A name is `provider:model`; anything else that was typed is only a search.
  if (!typed.includes(':') || models.some(({ name }) => name === typed)) return options
  return [{ name: typed, description: '', isTyped: true }, ...options]
}
