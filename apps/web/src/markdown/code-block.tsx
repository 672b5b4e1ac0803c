/** A block of code with its language and a button that copies it, there from the first line on. */
import { memo } from 'react'
import { CopyButton } from '../ui/copy-button.tsx'
import styles from './code-block.module.css'

/** Lines of one element. Of code that grows only the last element is changed and laid out again. */
const chunkLines = 64

export interface CodeBlockProps {
  readonly code: string
  readonly language: string | undefined
  /** More lines are coming; copying half a program would only look like success. */
  readonly isOpen: boolean
}

export function CodeBlock({ code, language, isOpen }: CodeBlockProps) {
  return (
    <div className={styles.block} dir="ltr">
      <div className={styles.head}>
        <span>{language?.split(/\s/, 1)[0] || 'text'}</span>
        <CopyButton text={code} isDisabled={isOpen} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a wide line scrolls, and without it a keyboard could not reach its end */}
      <pre tabIndex={0}>
        <code>
          {splitLines(code).map((lines, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: code only grows at its end
            <Chunk key={index} lines={lines} />
          ))}
        </code>
      </pre>
    </div>
  )
}

const Chunk = memo(function Chunk({ lines }: { lines: string }) {
  return <span>{lines}</span>
})

function splitLines(code: string): string[] {
  const lines = code.split(/(?<=\n)/)
  return Array.from({ length: Math.ceil(lines.length / chunkLines) }, (_, index) =>
    lines.slice(index * chunkLines, (index + 1) * chunkLines).join(''),
  )
}
