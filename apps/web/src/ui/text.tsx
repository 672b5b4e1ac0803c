/** Pieces of text with a look of their own. */
import type { ComponentProps, ReactNode } from 'react'
import { classes } from './classes.ts'
import styles from './text.module.css'

/** For screen readers. */
export function HiddenText(props: Omit<ComponentProps<'span'>, 'className'>) {
  return <span className={styles.hidden} {...props} />
}

export function Badge({ children }: { children: ReactNode }) {
  return <span className={styles.badge}>{children}</span>
}

/** One line that is cut where there is no room. */
export function Ellipsis(props: Omit<ComponentProps<'span'>, 'className'>) {
  return <span className={styles.ellipsis} {...props} />
}

export interface NoteProps {
  /** Appears after 0.4 seconds: for what is over by then most of the time, such as loading. */
  readonly isLate?: boolean
  readonly className?: string | undefined
  readonly children: ReactNode
}

/** A muted line that replaces missing content, such as an empty list, or comments on the content beside it. */
export function Note({ isLate, className, children }: NoteProps) {
  return <p className={classes(styles.note, isLate && styles.late, className)}>{children}</p>
}
