/** A block of code with its language and a button that copies it, there from the first line on. */
import { CopyButton } from '../view/copy-button.tsx'

export interface CodeBlockProps {
  readonly code: string
  readonly language: string | undefined
  /** More lines are coming; copying half a program would only look like success. */
  readonly isOpen: boolean
}

export function CodeBlock({ code, language, isOpen }: CodeBlockProps) {
  return (
    <div className="code" dir="ltr">
      <div className="code-head">
        <span>{language?.split(/\s/, 1)[0] || 'text'}</span>
        <CopyButton text={code} isDisabled={isOpen} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a wide line scrolls, and without it a keyboard could not reach its end */}
      <pre tabIndex={0}>
        <code>{code}</code>
      </pre>
    </div>
  )
}
