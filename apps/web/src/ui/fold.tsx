/** Folds content under a line of its own. From the first time the reader opens or closes it, only the reader decides. */
import { type ComponentProps, type ReactNode, useState } from 'react'
import { classes } from './classes.ts'
import styles from './fold.module.css'

export interface FoldProps extends Omit<ComponentProps<'details'>, 'open'> {
  /** Until the reader decides. */
  readonly isOpen: boolean
  /** The line. Its last icon shows whether it is open. */
  readonly summary: ReactNode
}

export function Fold({ isOpen: isOpenByItself, summary, className, children, ...props }: FoldProps) {
  const [chosen, setChosen] = useState<boolean>()
  const isOpen = chosen ?? isOpenByItself
  return (
    <details {...props} className={classes(styles.fold, className)} open={isOpen}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a summary is a button to every browser and reader */}
      <summary
        onClick={(event) => {
          // React owns `open`; the element toggling it as well would make two owners.
          event.preventDefault()
          setChosen(!isOpen)
        }}
      >
        {summary}
      </summary>
      {children}
    </details>
  )
}
