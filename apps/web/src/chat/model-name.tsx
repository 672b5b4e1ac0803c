/** A model's name, with a plain label where it is not a language model and must not look like one. */

import { kindOf } from '../composer/use-models.ts'
import { useLanguage } from '../i18n/language.tsx'
import type { ModelList } from '../session/api.ts'

export function ModelName({ name, models }: { name: string; models: ModelList | undefined }) {
  const { t } = useLanguage()
  const kind = kindOf(name, models)
  return (
    <div className="model-name">
      <span className="max-w-full truncate" title={name}>
        {name}
      </span>
      {kind !== 'language' && (
        <span className="badge">
          {kind !== 'other' && `${t.kinds[kind]} · `}
          {t.notLanguageModel}
        </span>
      )}
    </div>
  )
}
