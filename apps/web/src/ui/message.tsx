/** Fills the page when there is nothing else to show: a title, a text, and one button. */
import type { ComponentProps } from 'react'
import { Button } from './button.tsx'
import styles from './layout.module.css'

export interface MessageProps extends ComponentProps<'section'> {
  readonly title: string
  readonly text: string
  readonly action: string
  readonly onAction: () => void
}

export function Message({ title, text, action, onAction, ...props }: MessageProps) {
  return (
    <section {...props} className={styles.message}>
      <h2 className={styles.title}>{title}</h2>
      <p>{text}</p>
      <Button look="primary" onClick={onAction}>
        {action}
      </Button>
    </section>
  )
}
