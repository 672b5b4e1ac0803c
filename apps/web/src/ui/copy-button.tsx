/** Copies a text and says so for a moment. */
import { useEffect, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { Button } from './button.tsx'
import { CheckIcon, CopyIcon } from './icons.tsx'

export interface CopyButtonProps {
  /** A function, where it takes time to write. */
  readonly text: string | (() => string)
  readonly label?: string
  readonly isDisabled?: boolean
}

const confirmMs = 1_500

export function CopyButton({ text, label, isDisabled = false }: CopyButtonProps) {
  const { t } = useLanguage()
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = window.setTimeout(() => setCopied(false), confirmMs)
    return () => window.clearTimeout(timer)
  }, [isCopied])
  return (
    <Button
      look="quiet"
      disabled={isDisabled}
      aria-label={label ?? t.copy}
      onClick={() => void copyText(typeof text === 'string' ? text : text()).then(setCopied)}
    >
      {isCopied ? <CheckIcon /> : <CopyIcon />}
      <span>{isCopied ? t.copied : t.copy}</span>
    </Button>
  )
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Plain http outside localhost has no clipboard: the old way still works there.
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea')
  field.value = text
  field.style.position = 'fixed'
  field.style.opacity = '0'
  document.body.append(field)
  field.select()
  const isCopied = document.execCommand('copy')
  field.remove()
  return isCopied
}
