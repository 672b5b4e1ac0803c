/** A model's name, with a plain label where it is not a language model and must not look like one. */

import type { ModelList } from '@millrace/client'
import type { ReactNode } from 'react'
import { kindOf } from '../composer/use-models.ts'
import { useLanguage } from '../i18n/language.tsx'
import { Badge, Ellipsis } from '../ui/text.tsx'
import styles from './answer.module.css'

export interface ModelNameProps {
  readonly name: string
  readonly models: ModelList | undefined
  readonly children?: ReactNode
}

export function ModelName({ name, models, children }: ModelNameProps) {
  const { t } = useLanguage()
  const kind = kindOf(name, models)
  return (
    <header className={styles.model}>
      <Ellipsis title={name}>{name}</Ellipsis>
      {kind !== 'language' && (
        <Badge>
          {kind !== 'other' && `${t.kinds[kind]} · `}
          {t.notLanguageModel}
        </Badge>
      )}
      {children}
    </header>
  )
}
