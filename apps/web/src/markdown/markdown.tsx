// biome-ignore-all lint/suspicious/noArrayIndexKey: a token has no identity but its place, and text only grows at the end
/** A markdown text that may still grow. Blocks that are final are rendered once and never again. */
import type { Token, Tokens } from 'marked'
import { memo, type ReactNode, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { growBlocks, listBlocks, noBlocks } from './blocks.ts'
import { CodeBlock } from './code-block.tsx'
import { Inline, readHtml, Words } from './inline.tsx'
import styles from './markdown.module.css'

export function Markdown({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  const [before, setBlocks] = useState(noBlocks)
  const blocks = growBlocks(before, text, isGrowing)
  // Kept for the next text; the same text gives the same object, so this settles at once.
  if (blocks !== before) setBlocks(blocks)
  return (
    // Half a sentence is translated wrongly, and what is translated does not grow.
    <div className={styles.prose} dir="auto" translate={isGrowing ? 'no' : undefined}>
      <BlockList tokens={listBlocks(blocks)} isOpen={isGrowing} />
    </div>
  )
}

interface BlockListProps {
  readonly tokens: readonly Token[]
  /** The last of them may get more. */
  readonly isOpen: boolean
}

/** Blocks that are rendered, or found to be the same, as one: of a long answer there are hundreds. */
const chunkBlocks = 32

function BlockList({ tokens, isOpen }: BlockListProps): ReactNode {
  return Array.from({ length: Math.ceil(tokens.length / chunkBlocks) }, (_, index) => {
    const end = (index + 1) * chunkBlocks
    return <BlockChunk key={index} tokens={tokens.slice(index * chunkBlocks, end)} isOpen={isOpen && end >= tokens.length} />
  })
}

const BlockChunk = memo(
  function BlockChunk({ tokens, isOpen }: BlockListProps): ReactNode {
    return tokens.map((token, index) => <Block key={index} token={token} isOpen={isOpen && index === tokens.length - 1} />)
  },
  (a, b) => a.isOpen === b.isOpen && a.tokens.length === b.tokens.length && a.tokens.every((token, i) => token === b.tokens[i]),
)

/** A frozen block's token is the same object for ever, so `memo` keeps its DOM untouched. */
const Block = memo(function Block({ token, isOpen }: { token: Token; isOpen: boolean }): ReactNode {
  switch (token.type) {
    case 'space':
    case 'def':
      return null
    case 'paragraph':
      return (
        <p>
          <Inline tokens={token.tokens} />
        </p>
      )
    case 'heading': {
      // The page has its own h1 and h2; an answer's headings stand below them.
      const Heading = (['h3', 'h4', 'h5', 'h6'] as const)[Math.min((token as Tokens.Heading).depth, 4) - 1] ?? 'h6'
      return (
        <Heading>
          <Inline tokens={token.tokens} />
        </Heading>
      )
    }
    case 'code':
      return <CodeBlock code={readCode(token as Tokens.Code, isOpen)} language={(token as Tokens.Code).lang} isOpen={isOpen} />
    case 'list':
      return <List list={token as Tokens.List} isOpen={isOpen} />
    case 'blockquote':
      return (
        <blockquote>
          <BlockList tokens={token.tokens ?? []} isOpen={isOpen} />
        </blockquote>
      )
    case 'table':
      return <Table table={token as Tokens.Table} />
    case 'hr':
      return <hr />
    case 'checkbox':
      return <TaskBox isDone={(token as Tokens.Checkbox).checked} />
    case 'text':
      return <Inline tokens={token.tokens ?? [token]} />
    default:
      return (
        <p>
          <Words text={readHtml(token.raw.trim())} />
        </p>
      )
  }
})

function TaskBox({ isDone }: { isDone: boolean }) {
  const { t } = useLanguage()
  return <input type="checkbox" disabled checked={isDone} readOnly aria-label={isDone ? t.task.done : t.task.open} />
}

/** marked leaves the last line's end out, but of code that grows it says that the line is complete. */
function readCode({ text, raw }: Tokens.Code, isOpen: boolean): string {
  return isOpen && raw.endsWith('\n') && text !== '' ? `${text}\n` : text
}

function List({ list, isOpen }: { list: Tokens.List; isOpen: boolean }) {
  const items = list.items.map((item, index) => (
    <Item key={index} item={item} isOpen={isOpen && index === list.items.length - 1} />
  ))
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>
}

const Item = memo(function Item({ item, isOpen }: { item: Tokens.ListItem; isOpen: boolean }) {
  return (
    <li data-task={item.task || undefined}>
      <BlockList tokens={item.tokens} isOpen={isOpen} />
    </li>
  )
})

function Table({ table }: { table: Tokens.Table }) {
  return (
    <div className={styles.table}>
      <table>
        <thead>
          <Row cells={table.header} Cell="th" />
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <Row key={index} cells={row} Cell="td" />
          ))}
        </tbody>
      </table>
    </div>
  )
}

const Row = memo(function Row({ cells, Cell }: { cells: readonly Tokens.TableCell[]; Cell: 'th' | 'td' }) {
  return (
    <tr>
      {cells.map((cell, index) => (
        <Cell key={index} style={cell.align === null ? undefined : { textAlign: cell.align }}>
          <Inline tokens={cell.tokens} />
        </Cell>
      ))}
    </tr>
  )
})
