/** Every button of the page, in one of its few looks. */
import type { ComponentPropsWithRef } from 'react'
import styles from './button.module.css'
import { classes } from './classes.ts'

export interface ButtonProps extends ComponentPropsWithRef<'button'> {
  readonly look: 'icon' | 'text' | 'small' | 'quiet' | 'primary' | 'link'
  readonly isDangerous?: boolean
}

export function Button({ look, isDangerous, className, type = 'button', ...props }: ButtonProps) {
  const own = classes(styles.button, styles[look], isDangerous && styles.danger, className)
  return <button {...props} type={type} className={own} />
}
