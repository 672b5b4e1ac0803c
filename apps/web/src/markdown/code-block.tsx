/** A block of code with its language and a button that copies it, there from the first line on. */
import { memo, useEffect, useState } from 'react'
import { classes } from '../ui/classes.ts'
import { CopyButton } from '../ui/copy-button.tsx'
import styles from './code-block.module.css'
import { eagerMax, type Highlight, lengthMax, loadHighlight, type Piece, readyHighlight } from './highlight.ts'

/** Lines of one element. Of code that grows only the last element is changed and laid out again. */
const chunkLines = 64

export interface CodeBlockProps {
  readonly code: string
  readonly language: string | undefined
  /** More lines are coming; copying half a program would only look like success. */
  readonly isOpen: boolean
  /** Long lines go on below, as with texts in JSON. */
  readonly isWrapped?: boolean
}

type Line = string | readonly Piece[]

export function CodeBlock({ code, language = '', isOpen, isWrapped }: CodeBlockProps) {
  const [name = ''] = language.split(/\s/, 1)
  const lines = useLines(code, name, isOpen)
  return (
    <div className={classes(styles.block, isWrapped && styles.wrapped)} dir="ltr">
      <div className={styles.head}>
        <span>{name || 'text'}</span>
        <CopyButton text={code} isDisabled={isOpen} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a wide line scrolls, and without it a keyboard could not reach its end */}
      <pre tabIndex={0}>
        <code>
          {Array.from({ length: Math.ceil(lines.length / chunkLines) }, (_, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: code only grows at its end
            <Chunk key={index} lines={lines.slice(index * chunkLines, (index + 1) * chunkLines)} />
          ))}
        </code>
      </pre>
    </div>
  )
}

interface Coloured {
  readonly code: string
  readonly isOpen: boolean
  readonly highlight: Highlight | undefined
  readonly lines: readonly Line[]
}

/** A line is coloured once it is complete, and keeps its colours until the block is; then all of it is looked at as a whole. */
function useLines(code: string, language: string, isOpen: boolean): readonly Line[] {
  const [highlight, setHighlight] = useState(() => readyHighlight(language))
  const [last, setLast] = useState<Coloured>({ code: '', isOpen, highlight: undefined, lines: [] })
  useEffect(() => {
    let isGone = false
    void loadHighlight(language).then((loaded) => !isGone && setHighlight(() => loaded))
    return () => {
      isGone = true
    }
  }, [language])
  if (last.code === code && last.isOpen === isOpen && last.highlight === highlight && code !== '') return last.lines
  const next = { code, isOpen, highlight, lines: colour(code, isOpen, highlight, last) }
  // Kept for the next line; the same code gives the same object, so this settles at once.
  if (code !== '') setLast(next)
  return next.lines
}

function colour(code: string, isOpen: boolean, highlight: Highlight | undefined, last: Coloured): readonly Line[] {
  const plain = code.split(/(?<=\n)/)
  const isWhole = !isOpen && code.length <= lengthMax
  const isEager = isOpen && code.length <= eagerMax
  const complete = isOpen ? code.slice(0, code.lastIndexOf('\n') + 1) : code
  const before = isOpen && last.highlight === highlight && code.startsWith(last.code) ? last.lines : []
  const count = before.findIndex((line) => typeof line === 'string')
  const kept = count === -1 ? before : before.slice(0, count)
  const isNew = plain.length - (code.endsWith('\n') ? 0 : 1) > kept.length
  if (highlight === undefined || !(isWhole || isEager) || (isOpen && !isNew)) return [...kept, ...plain.slice(kept.length)]
  const lines = highlight(complete)
  return plain.map((line, index) => {
    const coloured = lines[index]
    if (kept[index] !== undefined) return kept[index]
    return coloured === undefined || (isOpen && !line.endsWith('\n')) ? line : coloured
  })
}

interface ChunkProps {
  readonly lines: readonly Line[]
}

/** What is plain is one text. */
const Chunk = memo(
  function Chunk({ lines }: ChunkProps) {
    const isPlain = lines.every((line) => typeof line === 'string')
    if (isPlain) return <span>{lines.join('')}</span>
    return (
      <span>
        {lines.map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: code only grows at its end
          <CodeLine key={index} line={line} />
        ))}
      </span>
    )
  },
  ({ lines: a }, { lines: b }) => a.length === b.length && a.every((line, index) => line === b[index]),
)

const CodeLine = memo(function CodeLine({ line }: { line: Line }) {
  if (typeof line === 'string') return <span>{line}</span>
  return (
    <span>
      {line.map(({ text, kind }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line does not change
        <span key={index} data-kind={kind}>
          {text}
        </span>
      ))}
      {'\n'}
    </span>
  )
})
