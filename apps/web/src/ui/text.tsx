/** Pieces of text with a look of their own. */
import type { ComponentProps, ReactNode } from 'react'
import { classes } from './classes.ts'
import styles from './text.module.css'

/** For screen readers. */
export function HiddenText({ children }: { children: ReactNode }) {
  return <span className={styles.hidden}>{children}</span>
}

export function Badge({ children }: { children: ReactNode }) {
  return <span className={styles.badge}>{children}</span>
}

/** One line that is cut where there is no room. */
export function Ellipsis(props: Omit<ComponentProps<'span'>, 'className'>) {
  return <span className={styles.ellipsis} {...props} />
}

/** Stands in the place of content, or says something about it. `isLate`: only where that is not there in a moment. */
export function Note({ isLate, className, children }: { isLate?: boolean; className?: string | undefined; children: ReactNode }) {
  return <p className={classes(styles.note, isLate && styles.late, className)}>{children}</p>
}
